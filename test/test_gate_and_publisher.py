"""Gate and publisher together: whatever is lost or late between them, the arm is never jerked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from arm_loop import Link, Loop
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_command.core.checks import Bounds
from vla_command.core.commander import Commander
from vla_safety.core.reasons import Reason

SLACK = 1.03


def started(seed=0, **link):
    """Return a loop whose gate was enabled, and whose soft start is over."""
    loop = Loop(Link(np.random.default_rng(seed)))
    loop.run(1300)
    assert loop.gate.state.name == "ACTIVE", loop.gate.enable_blocked_by(loop.now)
    for name, value in link.items():
        setattr(loop.link, name, value)
    return loop


def assert_never_jerked(loop, slack=SLACK):
    """Check every millisecond of what the controller commanded against the limits."""
    q_min, q_max = loop.arm.bound("min_position"), loop.arm.bound("max_position")
    assert (loop.desired >= q_min - 1e-9).all() and (loop.desired <= q_max + 1e-9).all()
    v_max, a_max = loop.arm.bound("max_velocity"), loop.arm.bound("max_acceleration")
    q, v = np.array(loop.desired), np.array(loop.velocity)
    moved = np.abs(np.diff(q, axis=0)) / 1e-3 / v_max
    assert moved.max() <= slack, f"{moved.max():.2f} of the velocity limit"
    assert (np.abs(v) / v_max).max() <= slack
    used = np.abs(np.diff(v, axis=0)) / 1e-3 / a_max
    assert used.max() <= slack, f"{used.max():.2f} of the acceleration limit at {used.argmax()}"


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    loss=st.sampled_from([0.0, 0.05, 0.3]),
    late_ms=st.sampled_from([0.5, 8.0, 15.0, 25.0, 45.0]),
    speed=st.floats(0.2, 1.3),
)
def test_lost_and_late_paths_never_jerk_the_arm(seed, loss, late_ms, speed):
    loop = started(seed, loss=loss, late_ms=late_ms)
    rng, loop.speed = np.random.default_rng(seed), speed
    for _ in range(5):
        loop.target = loop.home + np.append(rng.uniform(-0.4, 0.4, 7), 0.0)
        loop.run(400)
    assert_never_jerked(loop)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    loss=st.sampled_from([0.05, 0.3]),
    late_ms=st.sampled_from([0.5, 3.0]),
    speed=st.floats(0.3, 0.9),
)
def test_a_lost_path_is_no_reason_to_hold(seed, loss, late_ms, speed):
    loop = started(seed, loss=loss, late_ms=late_ms)
    rng, loop.speed = np.random.default_rng(seed), speed
    for _ in range(4):
        loop.target = loop.home + np.append(rng.uniform(-0.4, 0.4, 7), 0.0)
        loop.run(500)
    loop.link.loss = 0.0
    loop.run(3500)  # the way is 0.8 rad at most
    assert loop.gate.counts.total[Reason.PATH_LOST] > 0 or not loop.link.lost
    assert set(loop.states[1300:]) == {"ACTIVE"}
    assert_never_jerked(loop)
    np.testing.assert_allclose(loop.desired[-1], loop.target, atol=0.01)


def another_publisher(loop, speed=1.0, span=np.inf):
    """Return one that was just started; by its robot file joints may be slower, or go less far."""
    bounds = Bounds.of(loop.arm)
    far = np.minimum(bounds.q_max, loop.home + span)
    bounds = replace(bounds, v_max=speed * bounds.v_max, q_max=far)
    return Commander(bounds, round(loop.arm.safety.lease_ms * 1e6), streamed=False)


@pytest.mark.parametrize("other", [{"speed": 0.1}, {"span": 0.1}])
def test_a_publisher_that_refuses_every_path_is_told_and_latches(other):
    loop = Loop(Link(np.random.default_rng(0)))
    right, loop.publisher = loop.publisher, another_publisher(loop, **other)
    loop.run(1300)
    loop.target = loop.home + np.array([0.6] + 7 * [0.0])
    loop.run(4000)
    assert loop.gate.state.name == "LATCHED" and "HOLD" not in loop.states
    assert "follows no path that is sent" in loop.gate.machine.cause
    assert loop.desired[-1][0] <= loop.home[0] + 0.1 and not loop.velocity[-1].any()
    loop.publisher = right  # started anew with the right file
    loop.run(1500)
    assert loop.gate.reset(loop.now)[0], loop.gate.reset_blocked_by(loop.now)
    loop.run(300)
    assert loop.gate.enable(loop.now)[0], loop.gate.enable_blocked_by(loop.now)
    loop.run(3500)
    assert_never_jerked(loop)
    np.testing.assert_allclose(loop.desired[-1], loop.target, atol=0.01)


@pytest.mark.parametrize("after_ms", range(80, 150, 10))
@pytest.mark.parametrize("no_speeds", [False, True])
def test_motion_begins_where_the_arm_rests_not_where_it_still_crept(no_speeds, after_ms):
    """The publisher is started anew while the arm slows down: where it is measured then counts."""
    loop = Loop(Link(np.random.default_rng(0)), soft_start_ms=0.0)
    loop.no_speeds = no_speeds
    loop.run(1300)
    loop.speed, loop.target = 1.2, loop.home + np.array([0.8] + 7 * [0.0])
    loop.run(500)
    loop._take(loop.gate.deactivate(loop.now))
    loop.run(after_ms)
    loop.publisher = another_publisher(loop)
    loop.run(1000)
    assert loop.gate.enable(loop.now)[0], loop.gate.enable_blocked_by(loop.now)
    loop.run(1000)
    assert_never_jerked(loop)


@pytest.mark.parametrize("soft_start_ms", [0.0, 500.0])
@pytest.mark.parametrize("lost", [1, 2, 6])
@pytest.mark.parametrize("speed", [0.4, 0.8, 1.3])
@pytest.mark.parametrize("phase_ms", [0, 17])
def test_when_the_first_paths_are_lost_nothing_is_stepped_to(soft_start_ms, lost, speed, phase_ms):
    loop = Loop(Link(np.random.default_rng(0)), soft_start_ms=soft_start_ms)
    loop.gate.deactivate(loop.now)  # it is not enabled by itself
    loop.run(300 + phase_ms)
    assert loop.gate.enable(loop.now)[0], loop.gate.enable_blocked_by(loop.now)
    loop.speed, loop.target = speed, loop.home + np.array([0.6] + 7 * [0.0])
    loop.link.first = lost
    loop.run(3000)
    assert loop.link.lost == lost
    assert_never_jerked(loop)
    assert "LATCHED" not in loop.states
    if speed < 1.0:  # the plans are too far ahead otherwise, lost or not
        assert "HOLD" not in loop.states
        np.testing.assert_allclose(loop.desired[-1], loop.target, atol=0.01)


@pytest.mark.parametrize("speed", [0.4, 0.8])
@pytest.mark.parametrize("for_ms", [60, 200, 1500])
def test_an_arm_that_is_held_fast_is_not_pulled(speed, for_ms):
    loop = started()
    loop.speed, loop.target = speed, loop.home + np.array([0.8] + 7 * [0.0])
    loop.run(500)
    loop.held = True
    here = loop.q.copy()
    loop.run(for_ms)
    if for_ms > 1000:  # what is commanded is where the arm is, though plans pull on
        pulled = np.abs(loop.desired[-300:] - here).max()
        assert pulled <= loop.arm.safety.tracking_tolerance
        assert np.abs(loop.desired[-1] - here).max() <= loop.gate.joints.lag + 0.03
    loop.held = False
    loop.run(4000)
    assert_never_jerked(loop)
    assert loop.gate.state.name == "ACTIVE" and "LATCHED" not in loop.states
    np.testing.assert_allclose(loop.desired[-1], loop.target, atol=0.02)


@pytest.mark.parametrize("moved", [0.03, -0.3])
def test_after_a_stop_nothing_jumps_at_enable(moved):
    loop = started()
    loop.target = loop.home + np.array([0.5] + 7 * [0.0])
    loop.run(500)
    loop.gate.stop(loop.now)
    loop.run(1500)
    assert loop.gate.state.name == "LATCHED"
    before = loop.desired[-1].copy()
    loop.offset[1] = moved  # it droops, or somebody moves it
    loop.run(1500)
    assert loop.gate.reset(loop.now)[0], loop.gate.reset_blocked_by(loop.now)
    loop.run(300)
    assert loop.gate.enable(loop.now)[0], loop.gate.enable_blocked_by(loop.now)
    loop.target = before.copy()
    if abs(moved) < loop.gate.joints.lag:
        loop.run(500)
        assert_never_jerked(loop)
        np.testing.assert_allclose(loop.desired[-1], before, atol=0.01)
    else:  # the first command is where the arm was measured
        loop.run(60)
        np.testing.assert_allclose(loop.desired[-1], before + loop.offset, atol=0.01)


def moves_after_a_press(loop) -> tuple[float, int]:
    """Press the emergency stop; return how far the command still goes [rad], and for how long."""
    before, here = len(loop.desired), loop.desired[-1].copy()
    loop.gate.press(loop.now)
    loop.run(600)
    assert loop.gate.state.name == "LATCHED"
    speeds = np.abs(np.array(loop.velocity[before:])).max(axis=1)
    moving = np.flatnonzero(speeds > 1e-6)
    return float(np.abs(loop.desired[-1] - here).max()), int(moving[-1]) + 1 if len(moving) else 0


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("lost", [False, True])
def test_a_stop_does_not_command_an_arm_that_fell_behind_to_where_it_is(streamed, lost):
    """A gate that holds has just said to go there; or said it, and that was lost."""
    loop = Loop(Link(np.random.default_rng(0)), 0.0, streamed=streamed)
    loop.run(1500)
    loop.speed, loop.target = 0.8, loop.home + np.array([0.8] + 7 * [0.0])
    loop.run(500)
    loop.held = True
    while not loop.gate.motion.path.measured:
        if loop.publisher.resting(loop.now):
            loop.link.loss = float(lost)
        loop.run(1)
    assert loop.gate.state.name == "HOLD"
    behind = np.abs(loop.desired[-1] - loop.q).max()
    loop.link.loss = 0.0
    far, until_ms = moves_after_a_press(loop)
    assert behind > 0.05 and far < 0.1 * behind and until_ms < 60


class Listed(Link):
    """Delays in ms, one for each path that is sent from now on; then half a millisecond."""

    delays: tuple[int, ...] = ()

    def delay_ns(self) -> int | None:
        if not self.delays:
            return 500_000
        first, *self.delays = self.delays
        return first * 1_000_000


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("delays", [(15, 1), (25, 1), (40, 1), (25, 21)])
def test_a_first_plan_that_comes_after_the_word_of_a_stop_moves_nothing(streamed, delays):
    loop = Loop(Listed(np.random.default_rng(0)), 0.0, streamed=streamed)
    loop.run(2000)
    assert loop.gate.state.name == "ACTIVE"
    loop.target, loop.speed = loop.home + np.array([0.8] + 7 * [0.0]), 0.1
    while (loop.now // 1_000_000) % 50 != 28:
        loop.step()
    loop.link.delays = delays
    loop.run(6)  # the plan came with the first of these
    assert len(loop.link.delays) == 1
    before = len(loop.desired)
    loop.gate.press(loop.now)
    loop._take(loop.gate.tick(loop.now))
    loop.run(500)
    assert not np.abs(np.array(loop.velocity[before:])).max() > 1e-6
