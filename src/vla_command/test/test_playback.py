"""Between the rows nothing is added: no overshoot beyond the cubic's bound, no step."""

import numpy as np
import pytest
from command_world import A_MAX, MS, V_MAX, path, rows
from hypothesis import given
from hypothesis import strategies as st

from vla_command.core.playback import Reach, Track, hermite, join
from vla_command.core.trajectory import STANDS_NS, rows_to_come, sample

NOW = 10_000 * MS
SAME = Reach(np.full(3, A_MAX), np.full(3, A_MAX), np.full(3, V_MAX))
finite = st.floats(-3.0, 3.0)


@given(finite, finite, finite, finite, st.floats(0.001, 0.1), st.floats(0.0, 1.0))
def test_cubic_stays_within_its_bound_around_the_rows(q0, v0, q1, v1, span, s):
    q, v = hermite(*(np.array([x]) for x in (q0, v0, q1, v1)), span, s * span)
    slack = 4.0 / 27.0 * span * (abs(v0) + abs(v1)) + 1e-12
    assert min(q0, q1) - slack <= q[0] <= max(q0, q1) + slack
    slope = (q1 - q0) / span
    assert abs(v[0]) <= 1.5 * abs(slope) + abs(v0) + abs(v1) + 1e-9


@given(finite, finite, finite, finite, st.floats(0.001, 0.1))
def test_cubic_passes_through_both_rows(q0, v0, q1, v1, span):
    ends = [np.array([x]) for x in (q0, v0, q1, v1)]
    q, v = hermite(*ends, span, 0.0)
    assert (q[0], v[0]) == (q0, v0)
    q, v = hermite(*ends, span, span)
    assert q[0] == pytest.approx(q1, abs=1e-9) and v[0] == pytest.approx(v1, abs=1e-9)


@given(st.floats(-1.0, 1.0), st.floats(-1.5, 1.5), st.integers(0, 350 * MS))
def test_constant_acceleration_is_reproduced_within_its_limits(q0, speed, t_ns):
    q, v, _ = rows(q0, speed)
    times = NOW + np.arange(len(q), dtype=np.int64) * 10 * MS
    track = Track(times, q, v)
    position, velocity = track.state_at(NOW + t_ns)
    low, high = min(q[0, 0], q[-1, 0]), max(q[0, 0], q[-1, 0])
    assert (low - 1e-9 <= position).all() and (position <= high + 1e-9).all()
    assert (np.abs(velocity) <= abs(speed) + 1e-9).all()
    later, after = track.state_at(NOW + t_ns + MS)
    # the last step brakes by what is left, so no step brakes harder than the limit
    assert (np.abs(after - velocity) <= A_MAX * 1e-3 + 1e-9).all()
    assert (np.abs(later - position) <= abs(speed) * 1e-3 + 1e-9).all()


@given(
    st.floats(-1.0, 1.0),
    st.floats(0.05, 1.5),
    st.floats(-1.0, 1.0),
    st.integers(0, 200 * MS),
    st.integers(-50 * MS, 50 * MS),
)
def test_join_leaves_the_last_command_without_a_step(q0, speed, q1, after_ns, lead_ns):
    current = join(None, path(NOW, start_q=q0, speed=speed), NOW)
    now = NOW + after_ns
    joined = join(current, path(now, start_q=q1, speed=speed, lead_ns=lead_ns), now)
    assert (np.diff(joined.times_ns) > 0).all()
    for expected, found in zip(current.state_at(now), joined.state_at(now)):
        np.testing.assert_allclose(found, expected, atol=1e-12)
    assert not joined.velocities[-1].any()


def test_join_on_the_same_path_changes_nothing():
    whole = path(NOW)
    first = join(None, whole, NOW)
    now = NOW + 33 * MS
    again = join(first, whole, now)
    for t in range(0, 300, 3):
        for a, b in zip(first.state_at(now + t * MS), again.state_at(now + t * MS)):
            np.testing.assert_allclose(a, b, atol=1e-12)


def test_rows_already_due_are_dropped_and_the_rest_ends_at_rest():
    track = join(None, path(NOW), NOW)
    now = NOW + 42 * MS
    trajectory = rows_to_come(track, now)
    assert trajectory.from_start_ns[0] == 3 * MS  # rows at 5, 15, 25, 35 are over
    assert (np.diff(trajectory.from_start_ns)[:-1] == 10 * MS).all()
    assert not trajectory.velocities[-1].any()
    assert rows_to_come(track, track.end_ns) is None


def test_a_row_due_right_now_is_dropped():
    assert rows_to_come(join(None, path(NOW), NOW), NOW + 5 * MS).from_start_ns[0] == 10 * MS


def test_a_hold_already_due_becomes_one_step_to_it():
    hold = path(NOW, horizon=1, tail_start=0, positions=np.full(3, 0.3), velocities=np.zeros(3))
    track = join(None, hold, NOW + 20 * MS)
    trajectory = rows_to_come(track, NOW + 20 * MS)
    assert trajectory.from_start_ns.tolist() == [10 * MS, 10 * MS + STANDS_NS]
    np.testing.assert_array_equal(trajectory.positions, [[0.3] * 3] * 2)


def test_what_is_sent_says_for_a_while_that_the_arm_stands():
    """A controller rejects what has ended when it comes: a stop that is late would be lost."""
    trajectory = rows_to_come(join(None, path(NOW), NOW), NOW)
    assert trajectory.from_start_ns[-1] - trajectory.from_start_ns[-2] == STANDS_NS >= 100 * MS
    np.testing.assert_array_equal(trajectory.positions[-1], trajectory.positions[-2])
    assert not trajectory.velocities[-2:].any()


def test_before_and_after_the_track_the_arm_stands():
    track = join(None, path(NOW), NOW)
    for now in (NOW - 1000 * MS, NOW + 10_000 * MS):
        point = sample(track, now)
        assert not point.velocity.any()
    np.testing.assert_array_equal(sample(track, NOW - 1).position, np.zeros(3))
    np.testing.assert_array_equal(sample(track, track.end_ns).position, track.positions[-1])


@given(st.floats(0.0, 1.0), st.integers(5 * MS, 300 * MS))
def test_a_path_that_goes_on_from_the_last_command_loses_no_row(speed, after_ns):
    whole = path(NOW, speed=speed)
    first = join(None, whole, NOW)
    now = NOW + after_ns
    strict, loose = join(first, whole, now, SAME), join(first, whole, now)
    np.testing.assert_array_equal(strict.times_ns, loose.times_ns)


def test_a_hold_elsewhere_is_reached_within_the_acceleration_limits():
    first = join(None, path(NOW), NOW)
    now = first.end_ns
    there = first.positions[-1] + 0.02
    hold = path(now, horizon=1, tail_start=0, positions=there, velocities=np.zeros(3), lead_ns=-MS)
    track = join(first, hold, now, SAME)
    assert len(track.times_ns) == 14 and track.end_ns - now == 130 * MS  # sqrt(6 * 0.02 / 8) s
    whole = Track(track.times_ns[[0, -1]], track.positions[[0, -1]], track.velocities[[0, -1]])
    for at in range(now, track.end_ns, 3 * MS):  # one cubic all the way, in pieces
        np.testing.assert_allclose(track.state_at(at), whole.state_at(at), atol=1e-12)
    np.testing.assert_allclose(track.state_at(track.end_ns)[0], there)


@given(st.floats(0.1, 1.0), st.integers(1, 60 * MS), st.floats(-0.01, 0.01))
def test_a_late_path_is_joined_within_the_acceleration_limits_or_not_at_all(speed, late_ns, gap):
    first = join(None, path(NOW, speed=speed), NOW)
    now = NOW + 50 * MS + late_ns
    start = 0.05 * speed + gap
    track = join(first, path(now, start_q=start, speed=speed), now, SAME)
    if track is None:
        return
    t = np.arange(now, track.end_ns, MS)
    v = np.array([track.state_at(x)[1] for x in t])
    assert (np.abs(np.diff(v, axis=0)) / 1e-3 <= 1.03 * A_MAX + 1e-3).all()
