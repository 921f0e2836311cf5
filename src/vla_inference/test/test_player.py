"""The action player: indexed by capture time, continuous, silent when the plan is spent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_common.core.chunk import Chunk
from vla_common.core.robot import Control
from vla_inference.core.player import ActionPlayer, sample

STEP = 50_000_000


def chunk_of(rows, capture_ns, seq=1):
    rows = np.asarray(rows, dtype=np.float64)
    names = tuple("abcdefgh"[: rows.shape[1]])
    return Chunk(1, seq, names, 0.05, capture_ns + STEP, rows, capture_ns, capture_ns)


def line(capture_ns, horizon=16, speed=1.0, joints=2):
    """A chunk that is ``speed`` times time [s], whatever the capture time."""
    times = (capture_ns + STEP * np.arange(1, horizon + 1)) * 1e-9
    return chunk_of(np.repeat(speed * times[:, None], joints, axis=1), capture_ns)


@given(st.integers(0, 300_000_000), st.sampled_from(["rtc", "align", "ensemble", "none"]))
def test_latency_is_taken_out_by_capture_time(latency, blend):
    player = ActionPlayer(Control(blend=blend))
    player.add(line(1_000_000_000), 1_000_000_000 + latency)
    plan = player.tick(1_000_000_000 + latency)
    expected = (1_000_000_000 + latency + STEP * np.arange(1, 9)) * 1e-9
    inside = expected <= 1.8
    assert np.allclose(plan.positions[inside, 0], expected[inside], atol=1e-9)
    assert plan.start_ns == 1_000_000_000 + latency + STEP


def test_a_slow_model_still_gives_every_tick():
    player = ActionPlayer(Control(max_chunk_age_ms=700.0))
    rows = []
    for tick in range(40):
        now = 1_000_000_000 + tick * STEP
        if tick % 6 == 0:
            player.add(line(now - 200_000_000), now)
        rows.append(player.tick(now).positions[0, 0])
    assert np.allclose(np.diff(rows), 0.05, atol=1e-9)


def test_plan_ends_and_then_nothing_is_given_out():
    player = ActionPlayer(Control(max_chunk_age_ms=10_000.0))
    player.add(line(0, horizon=4), 0)
    assert player.tick(3 * STEP) is not None
    assert player.tick(4 * STEP) is None


def test_old_images_end_the_plan():
    player = ActionPlayer(Control(max_chunk_age_ms=300.0))
    player.add(line(0, horizon=16), 0)
    assert player.tick(300_000_000) is not None
    assert player.tick(300_000_001) is None
    assert not player.add(line(0, horizon=16), 300_000_001)
    assert player.late == 1


def test_an_older_chunk_does_not_replace_a_newer_one():
    player = ActionPlayer(Control())
    player.add(line(100_000_000), 100_000_000)
    player.add(line(50_000_000, speed=-3.0), 110_000_000)
    assert player.plan.chunk.capture_ns == 100_000_000


@given(st.floats(-0.5, 0.5), st.integers(1, 6))
def test_a_new_chunk_joins_without_a_step(jump, ticks):
    control = Control(blend="align", blend_steps=5)
    player = ActionPlayer(control)
    player.add(chunk_of(np.zeros((16, 1)), 0), 0)
    now = ticks * STEP
    before = player.at(np.array([now + STEP // 2]))[0, 0]
    player.add(chunk_of(np.full((16, 1), jump), now), now)
    rows = player.tick(now).positions[:, 0]
    assert abs(rows[0] - before) <= abs(jump) / control.blend_steps + 1e-12
    assert np.abs(np.diff(rows)).max() <= abs(jump) / control.blend_steps + 1e-12
    assert rows[-1] == pytest.approx(jump)


def test_grippers_are_not_blended():
    player = ActionPlayer(Control(blend="align"), grippers=(1,))
    player.add(chunk_of(np.zeros((16, 2)), 0), 0)
    player.add(chunk_of(np.ones((16, 2)), STEP), STEP)
    row = player.tick(STEP).positions[0]
    assert row[0] < 0.5
    assert row[1] == 1.0


def test_ensemble_of_equal_chunks_is_that_chunk():
    player = ActionPlayer(Control(blend="ensemble"))
    for i in range(12):
        player.add(line(i * STEP), i * STEP)
    rows = player.tick(11 * STEP).positions[:, 0]
    assert np.allclose(rows, (12 + np.arange(8)) * 0.05)


def test_reset_takes_the_next_chunk_as_it_is():
    player = ActionPlayer(Control())
    player.add(chunk_of(np.zeros((16, 1)), 0), 0)
    player.reset()
    assert player.tick(0) is None
    player.add(chunk_of(np.ones((16, 1)), 0), 0)
    assert player.tick(0).positions[0, 0] == 1.0


def test_sample_holds_beyond_both_ends():
    times = np.array([10, 20])
    rows = np.array([[1.0], [3.0]])
    at = np.array([0, 10, 15, 20, 99])
    assert sample(times, rows, at)[:, 0].tolist() == [1.0, 1.0, 2.0, 3.0, 3.0]
