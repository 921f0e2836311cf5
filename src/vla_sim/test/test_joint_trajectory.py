"""The emulated controller must do what joint_trajectory_controller does with its topic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_sim.core.joint_trajectory import (
    JointTrajectoryController,
    Options,
    Peaks,
    Point,
    Trajectory,
)

JOINTS = ("a", "b")
MS = 1_000_000
TICK = 10 * MS


def point(time_ms, positions, velocities=None, accelerations=None):
    arrays = [None if v is None else np.array(v, float) for v in (velocities, accelerations)]
    return Point(round(time_ms * MS), np.array(positions, float), *arrays)


def trajectory(*points, names=JOINTS, start_ns=None, has_effort=False):
    return Trajectory(tuple(names), tuple(points), start_ns, has_effort)


def controller(q=(0.0, 0.0), **options):
    return JointTrajectoryController(JOINTS, np.array(q), Options(**options))


def test_holds_before_the_first_trajectory():
    desired = controller((0.3, -0.2)).sample(5 * TICK)
    assert desired.q.tolist() == [0.3, -0.2]
    assert not desired.dq.any()


def test_positions_alone_are_interpolated_linearly_from_the_desired_state():
    c = controller()
    assert c.command(trajectory(point(100, [1.0, -1.0])), 0) == ""
    assert c.sample(0).q.tolist() == [0.0, 0.0]
    half = c.sample(50 * MS)
    np.testing.assert_allclose(half.q, [0.5, -0.5])
    np.testing.assert_allclose(half.dq, [10.0, -10.0])
    end = c.sample(100 * MS)
    np.testing.assert_allclose(end.q, [1.0, -1.0])
    np.testing.assert_allclose(end.dq, 0.0)
    assert c.moving(99 * MS)
    assert not c.moving(100 * MS)


def test_velocities_make_it_cubic_and_accelerations_quintic():
    t, span = 0.03, 0.1
    cubic = controller()
    cubic.command(trajectory(point(100, [1.0, 2.0], [0.0, 0.0])), 0)
    cubic.sample(0)
    s = t / span
    np.testing.assert_allclose(cubic.sample(30 * MS).q, np.array([1, 2]) * (3 * s**2 - 2 * s**3))
    quintic = controller()
    quintic.command(trajectory(point(100, [1.0, 2.0], [0.0, 0.0], [0.0, 0.0])), 0)
    quintic.sample(0)
    blend = 10 * s**3 - 15 * s**4 + 6 * s**5
    np.testing.assert_allclose(quintic.sample(30 * MS).q, np.array([1, 2]) * blend)


def test_zero_stamp_starts_at_the_next_cycle_and_not_at_receipt():
    c = controller()
    c.sample(0)
    c.command(trajectory(point(100, [1.0, 1.0])), 3 * MS)
    c.sample(TICK)
    np.testing.assert_allclose(c.sample(TICK + 50 * MS).q, 0.5)


def test_stamp_is_the_absolute_start_and_a_future_start_moves_at_once():
    c = controller()
    c.command(trajectory(point(100, [1.0, 1.0]), start_ns=100 * MS), 0)
    c.sample(0)
    np.testing.assert_allclose(c.sample(100 * MS).q, 0.5)  # as upstream: no waiting for the start
    np.testing.assert_allclose(c.sample(200 * MS).q, 1.0)


def test_points_in_the_past_are_passed_over():
    c = controller()
    points = [point(10, [5.0, 5.0]), point(30, [1.0, 1.0]), point(50, [2.0, 2.0])]
    assert c.command(trajectory(*points, start_ns=60 * MS), 100 * MS) == ""
    np.testing.assert_allclose(c.sample(100 * MS).q, 1.5)
    assert c.command(trajectory(*points, start_ns=40 * MS), 100 * MS) == "ends in the past"
    assert c.command(trajectory(*points, start_ns=50 * MS), 100 * MS) == ""
    np.testing.assert_allclose(c.sample(100 * MS).q, 2.0)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (trajectory(point(10, [1.0]), names=("a",)), "1 joints instead of 2"),
        (trajectory(point(10, [1.0, 1.0]), names=("a", "x")), "unknown joint 'x'"),
        (trajectory(point(10, [1.0, 1.0]), names=("a", "a")), "a joint is named twice"),
        (trajectory(names=()), "empty joint_names"),
        (trajectory(), "no points"),
        (trajectory(point(10, [1.0])), "positions of point 0 has 1 values instead of 2"),
        (trajectory(point(10, [])), "positions of point 0 has 0 values instead of 2"),
        (trajectory(point(10, [1, 1], [0])), "velocities of point 0 has 1 values instead of 2"),
        (
            trajectory(point(10, [1, 1]), point(10, [1, 1])),
            "time_from_start does not rise at point 1",
        ),
        (trajectory(point(10, [1, np.nan])), "positions of point 0 is not finite"),
        (
            trajectory(point(10, [1, 1], [0, 0], [np.inf, 0])),
            "accelerations of point 0 is not finite",
        ),
        (trajectory(point(10, [1, 1], [0.1, 0.0])), "the last velocity is not zero"),
        (
            trajectory(point(10, [1, 1]), has_effort=True),
            "effort is given, the command interface is position",
        ),
    ],
)
def test_bad_trajectories_are_rejected_counted_and_change_nothing(bad, reason):
    c = controller()
    c.command(trajectory(point(100, [1.0, 1.0])), 0)
    c.sample(0)
    assert c.command(bad, TICK) == reason
    assert (c.accepted, c.rejections, c.rejected, c.last_reason) == (1, 1, {reason: 1}, reason)
    np.testing.assert_allclose(c.sample(50 * MS).q, 0.5)


def test_upstream_itself_lets_nan_pass():
    c = controller(reject_non_finite=False)
    assert c.command(trajectory(point(10, [np.nan, 1.0])), 0) == ""


def test_joints_in_another_order_and_partial_goals():
    c = controller((0.5, -0.5), allow_partial_joints_goal=True)
    assert c.command(trajectory(point(10, [2.0, 1.0]), names=("b", "a")), 0) == ""
    c.sample(0)
    assert c.sample(TICK).q.tolist() == [1.0, 2.0]
    assert c.command(trajectory(point(10, [3.0], [0.0]), names=("b",)), TICK) == ""
    c.sample(TICK)
    assert c.sample(2 * TICK).q.tolist() == [1.0, 3.0]


positions = st.lists(st.floats(-3, 3), min_size=2, max_size=2)


@st.composite
def trajectories(draw):
    count = draw(st.integers(1, 6))
    steps = draw(st.lists(st.integers(5, 80), min_size=count, max_size=count))
    velocities = draw(st.booleans())
    rows = []
    for i, at in enumerate(np.cumsum(steps)):
        last = i == count - 1
        speed = [0.0, 0.0] if last else draw(positions)
        rows.append(point(at, draw(positions), speed if velocities else None))
    return trajectory(*rows)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(trajectories(), st.integers(0, 15)), min_size=1, max_size=4))
def test_desired_position_is_continuous_through_replacements_and_holds_at_the_end(sequence):
    """Sampled finely, no step is larger than the steepest slope of any segment allows."""
    c = controller()
    fine, now = MS // 10, 0
    last = c.sample(now).q
    for new, ticks in sequence:
        assert c.command(new, now) == ""
        first = c.sample(now)
        np.testing.assert_allclose(first.q, last, atol=1e-9)  # the replacement itself
        for _ in range(ticks):
            for _ in range(10):
                now += fine
                state = c.sample(now)
                # Cubics between points in +-3 with speeds within +-3: |slope| <= 1.5*6/dt + 6.
                assert np.abs(state.q - last).max() <= (9.0 / 0.004 + 3000.0) * fine * 1e-9
                last = state.q
    goal = sequence[-1][0].points[-1]
    for _ in range(3):
        now += 500 * MS
        state = c.sample(now)
        np.testing.assert_array_equal(state.q, goal.positions)
        assert not state.dq.any()


@settings(deadline=None)
@given(trajectories(), trajectories(), st.integers(1, 200))
def test_velocity_is_continuous_when_both_trajectories_carry_velocities(one, two, at_ms):
    if any(p.velocities is None for t in (one, two) for p in t.points):
        return
    c = controller()
    c.command(one, 0)
    c.sample(0)
    before = c.sample(at_ms * MS)
    c.command(two, at_ms * MS)
    after = c.sample(at_ms * MS)
    np.testing.assert_allclose(after.q, before.q, atol=1e-9)
    np.testing.assert_allclose(after.dq, before.dq, atol=1e-9)


def test_peaks_are_finite_differences_of_the_desired_position():
    peaks = Peaks(1)
    for i, q in enumerate([0.0, 0.01, 0.03, 0.03]):  # 1, 2, 0 rad/s
        peaks.add(i * TICK, np.array([q]))
    np.testing.assert_allclose(peaks.velocity, [2.0])
    np.testing.assert_allclose(peaks.acceleration, [200.0])
    peaks.reset()
    assert not peaks.velocity.any()
