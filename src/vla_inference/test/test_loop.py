"""Engine, loop, delay, phase, joints, instruction."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_common.core.robot import Control
from vla_common.core.trace import Trace
from vla_inference.core.backend import open_backend
from vla_inference.core.bundle import load
from vla_inference.core.engine import Observation, PolicyEngine
from vla_inference.core.instruction import InstructionEncoder
from vla_inference.core.joints import JointReader
from vla_inference.core.latency import DelayEstimator
from vla_inference.core.loop import InferenceLoop
from vla_inference.core.phase import PhaseLock
from vla_inference.core.player import ActionPlayer
from vla_inference.core.rtc import prefix_weights

MS = 1_000_000


def observe(capture_ns, joints=(0.1, 0.2, 0.03)):
    return Observation(
        np.zeros((1, 1, 3), np.float32),
        np.zeros(6, np.int64),
        np.array(joints, np.float32),
        capture_ns,
        capture_ns,
        Trace(capture_ns=capture_ns),
    )


@pytest.fixture
def loop(bundle_folder, robot):
    bundle = load(bundle_folder)
    control = Control(blend="rtc", blend_steps=3)
    engine = PolicyEngine(bundle, open_backend(bundle, robot.model))
    return InferenceLoop(engine, ActionPlayer(control, (2,)), control, epoch=7)


def test_chunk_is_due_from_one_step_after_capture(loop, ramp):
    chunk = loop.infer(observe(1000 * MS), lambda: 1010 * MS)
    assert chunk.start_ns == 1050 * MS
    assert chunk.positions == pytest.approx(np.array([0.1, 0.2, 0.03]) + ramp, abs=1e-6)
    assert (chunk.epoch, chunk.seq, chunk.model_id) == (7, 1, "tiny@1.2.3")
    assert chunk.trace.inference_ns == 1010 * MS


def test_the_second_chunk_is_bound_to_the_plan(loop):
    loop.infer(observe(1000 * MS), lambda: 1010 * MS)
    for _ in range(5):
        loop.delay.add(100 * MS)
    running = loop._player.at(loop._engine.row_times(1050 * MS))
    chunk = loop.infer(observe(1050 * MS, (0.5, 0.5, 0.03)), lambda: 1060 * MS)
    assert chunk.positions[:2] == pytest.approx(running[:2], abs=1e-5)
    assert np.abs(chunk.positions[-1, 0] - 0.5) < 0.2


def test_new_words_unbind_the_next_chunk_beyond_the_delay(loop, ramp):
    loop.infer(observe(1000 * MS), lambda: 1010 * MS)
    for _ in range(5):
        loop.delay.add(40 * MS)
    loop.instruction_changed()
    chunk = loop.infer(observe(1050 * MS, (0.5, 0.5, 0.03)), lambda: 1060 * MS)
    assert chunk.positions[1:] == pytest.approx(np.array([0.5, 0.5, 0.03]) + ramp[1:], abs=1e-5)


def test_voided_epoch_drops_plan_and_the_chunk_in_the_making(loop):
    loop.infer(observe(1000 * MS), lambda: 1010 * MS)
    assert loop.tick(1010 * MS) is not None
    assert loop.void(9) and not loop.void(8)
    assert loop.tick(1010 * MS) is None

    def clock():
        loop.void(12)
        return 1060 * MS

    assert loop.infer(observe(1050 * MS), clock) is None
    assert loop.infer(observe(1050 * MS), lambda: 1060 * MS).epoch == 12


def test_dropped_plan_takes_the_inference_under_way_with_it(loop):
    loop.infer(observe(1000 * MS), lambda: 1010 * MS)
    loop.drop()
    assert loop.tick(1010 * MS) is None

    def clock():
        loop.drop()
        return 1060 * MS

    assert loop.infer(observe(1050 * MS), clock) is None
    assert loop.tick(1060 * MS) is None
    assert loop.infer(observe(1100 * MS), lambda: 1110 * MS).epoch == 7


def test_not_finite_is_dropped_and_counted(loop):
    assert loop.infer(observe(1000 * MS, (np.nan, 0.0, 0.0)), lambda: 1010 * MS) is None
    assert loop.not_finite == 1
    assert loop.tick(1010 * MS) is None


def test_seq_of_plans_rises(loop):
    loop.infer(observe(1000 * MS), lambda: 1010 * MS)
    assert [loop.tick((1010 + 50 * i) * MS).seq for i in range(3)] == [1, 2, 3]


@given(st.integers(1, 64), st.integers(0, 80), st.integers(0, 80))
def test_prefix_weights_fall_from_one_to_zero(horizon, delay, end):
    weights = prefix_weights(horizon, delay, end)
    assert weights.shape == (horizon,)
    assert (weights[: min(delay, horizon)] == 1.0).all()
    assert (weights[max(end, delay) :] == 0.0).all()
    assert (np.diff(weights) <= 0.0).all()
    assert ((weights >= 0.0) & (weights <= 1.0)).all()


def test_prefix_weights_refuse_nonsense():
    with pytest.raises(ValueError, match="horizon 0"):
        prefix_weights(0, 0, 0)


def test_delay_leaves_the_warm_up_out():
    delay = DelayEstimator(warm_up=2)
    for latency in (5000, 4000, 30, 40, 50):
        delay.add(latency * MS)
    assert delay.seconds() < 0.051
    assert delay.steps(0.05, 8) == 1
    assert delay.steps(0.01, 3) == 3


def test_phase_lock_brings_the_tick_behind_the_chunk_and_keeps_the_rate():
    period, lock = 50 * MS, PhaseLock(50 * MS)
    random = np.random.default_rng(3)
    tick, slacks, periods = 0, [], []
    for _ in range(600):
        arrival = (tick - 7 * MS) // period * period + 7 * MS + int(random.integers(0, MS))
        if arrival > tick:
            arrival -= period
        slacks.append((tick - arrival) / MS)
        shift = lock.shift(tick, arrival)
        periods.append(period + shift)
        tick += period + shift
    assert max(slacks[300:]) < 4.0
    assert lock.locked
    assert all(abs(p - period) <= 0.005 * period for p in periods)


def test_phase_lock_is_not_locked_to_chunks_that_come_at_another_rate():
    period, lock = 50 * MS, PhaseLock(50 * MS)
    tick = 1000 * MS
    for _ in range(300):
        tick += period + lock.shift(tick, tick // (33 * MS) * (33 * MS))
    assert not lock.locked


def test_joints_are_put_in_order_and_junk_is_counted():
    reader = JointReader(("a", "b"), 50 * MS)
    assert reader.read(0) is None
    assert reader.update(["x", "b", "a"], [9.0, 2.0, 1.0], 100)
    assert reader.read(100).tolist() == [1.0, 2.0]
    assert not reader.update(["a"], [5.0], 200)
    assert not reader.update(["a", "a", "b"], [5.0, 5.0, 5.0], 200)
    assert not reader.update(["a", "b"], [5.0], 200)
    assert not reader.update(["a", "b"], [np.nan, 1.0], 200)
    assert reader.bad == 4
    assert reader.read(100).tolist() == [1.0, 2.0]
    assert reader.read(100 + 51 * MS) is None


def test_words_are_encoded_once(bundle_folder):
    encoder = InstructionEncoder(bundle_folder / "tokenizer.json", 6)
    tokens = encoder.encode("Reach the RED thing")
    assert tokens.tolist() == [2, 3, 4, 1, 0, 0]
    assert encoder.encode("Reach the RED thing") is tokens
    assert encoder.encode("the " * 500).tolist() == [3] * 6
    assert encoder.encode("").tolist() == [0] * 6
