"""Braking along the verified path: never off it, never outside the limits, as soon as can be."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vla_command.core.braking import brake
from vla_command.core.playback import Reach, Track

MS = 1_000_000
STEP = 10 * MS
NOW = 50_000 * MS
JOINTS = 3


def reach(a, d, joints=JOINTS):
    """Return limits of acceleration alone."""
    return Reach(np.full(joints, a), np.full(joints, d), np.full(joints, np.inf))


def track_of(v, step_ns=STEP):
    """Return the track with velocities ``v`` (rows, joints), one acceleration in each step."""
    q = np.vstack((np.zeros(v.shape[1]), np.cumsum((v[1:] + v[:-1]) / 2 * step_ns * 1e-9, axis=0)))
    return Track(NOW + np.arange(len(v), dtype=np.int64) * step_ns, q, v)


def cruise(speed, rows=8, brake_with=6.0):
    """Return a track at constant speed that then brakes."""
    v = [np.asarray(speed, dtype=float)] * rows
    while v[-1].any():
        v.append(np.sign(v[-1]) * np.maximum(np.abs(v[-1]) - brake_with * 0.01, 0.0))
    return track_of(np.array(v))


def dense(track, from_ns, until_ns, step_ns=MS // 4):
    """Return times [s], positions and velocities, looked at often."""
    at = np.arange(from_ns, until_ns, step_ns)
    states = [track.state_at(int(t)) for t in at]
    return (at - from_ns) * 1e-9, np.array([s[0] for s in states]), np.array([s[1] for s in states])


def distance_to(track, points):
    """Return how far each point (n, joints) is from the nearest pose of ``track`` at most."""
    _, poses, _ = dense(track, int(track.times_ns[0]), track.end_ns + 1)
    return max(np.abs(poses - p).max(axis=1).min() for p in points)


@pytest.mark.parametrize("offset_ns", [0, 1, 3 * MS, 9_999_999, 13 * MS])
def test_a_steady_motion_brakes_at_once_as_hard_as_it_may(offset_ns):
    whole = cruise([0.6, -0.3, 0.1])
    now = NOW + offset_ns
    slowed = brake(whole, now, now, reach(6.0, 6.0, 3))
    assert slowed.end_ns - now == pytest.approx(0.1e9, rel=1e-6)  # 0.6 / 6
    _, q, v = dense(slowed, now, slowed.end_ns)
    times = np.arange(len(v)) * 0.25e-3
    np.testing.assert_allclose(v[:, 0], 0.6 - 6.0 * times, atol=2e-6)
    np.testing.assert_allclose(v[:, 1], -0.5 * v[:, 0], atol=2e-6)
    assert distance_to(whole, q) < 1e-4  # a quarter of a millisecond at 0.6 rad/s


@pytest.mark.parametrize("offset_ns", [20 * MS, 35 * MS, 45 * MS, 64 * MS])
def test_a_stop_that_reaches_into_the_tail_begins_at_once_too(offset_ns):
    whole = cruise([0.6, 0.3, 0.15], brake_with=6.0)
    now = NOW + offset_ns
    slowed = brake(whole, now, now, reach(6.0, 6.0, 3))
    assert slowed.end_ns < whole.end_ns - MS
    assert slowed.state_at(now + 5 * MS)[1][0] < 0.6 * 0.96
    _, q, _ = dense(slowed, now, slowed.end_ns)
    assert distance_to(whole, q) < 1e-4


def test_braking_uses_deceleration_where_that_is_the_smaller():
    slowed = brake(cruise([0.3, 0.0, 0.0], brake_with=3.0), NOW, NOW, reach(6.0, 3.0, 3))
    assert slowed.end_ns - NOW == pytest.approx(0.1e9, rel=1e-6)  # 0.3 / 3


def test_a_path_that_brakes_as_hard_as_it_may_is_left_alone():
    whole = cruise([0.6, 0.3, 0.1], rows=1)
    assert brake(whole, NOW, NOW, reach(6.0, 6.0, 3)) is None


def test_nothing_to_brake():
    stands = track_of(np.zeros((3, 3)))
    limits = reach(6.0, 6.0, 3)
    assert brake(stands, NOW, NOW, limits) is None
    assert brake(cruise([0.6, 0.3, 0.1]), NOW + 10**12, NOW + 10**12, limits) is None


@pytest.mark.parametrize("lead_ns", [0, 8 * MS])
def test_an_arm_that_stands_for_a_moment_does_not_begin_to_move(lead_ns):
    v = np.zeros((24, 3))
    v[12:20] = 0.05 * np.arange(1, 9)[:, None]
    v[20:23] = 0.1 * np.arange(3, 0, -1)[:, None]
    slowed = brake(track_of(v), NOW + 50 * MS, NOW + 50 * MS + lead_ns, reach(6.0, 6.0, 3))
    assert not slowed.positions.any() and not slowed.velocities.any()
    # a controller that has the path gets at least one row in its place
    assert slowed.end_ns > NOW + 50 * MS


def test_the_next_joint_may_speed_up_meanwhile():
    v = np.array([[0.5, 0.2 + 0.04 * i, 0.0] for i in range(12)])
    v = np.vstack((v, v[-1] * np.linspace(0.9, 0.0, 10)[:, None]))
    whole = track_of(v)
    limits = reach(10.0, 10.0, 3)
    slowed = brake(whole, NOW + 5 * MS, NOW + 5 * MS, limits)
    assert slowed.end_ns < whole.end_ns - 40 * MS
    _, q, _ = dense(slowed, NOW + 5 * MS, slowed.end_ns)
    assert distance_to(whole, q) < 3e-4


@pytest.mark.parametrize("offset_ns", [0, 3 * MS, 9_900_000])
def test_until_it_begins_the_path_is_kept(offset_ns):
    whole = cruise([0.5, -0.2, 0.1], rows=10)
    now, begin = NOW + offset_ns, NOW + offset_ns + 8 * MS
    slowed = brake(whole, now, begin, reach(6.0, 6.0, 3))
    for t in range(now, begin + 1, MS):
        np.testing.assert_allclose(slowed.state_at(t), whole.state_at(t), atol=1e-9)
    assert abs(slowed.state_at(begin + MS)[1][0]) < 0.5 * 0.995
    assert (np.diff(slowed.times_ns) > 0).all()


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    offset_ns=st.integers(0, 90 * MS),
    share=st.floats(0.1, 1.0),
    a=st.sampled_from([2.0, 6.0, 10.0]),
    d=st.sampled_from([2.0, 6.0, 10.0]),
)
def test_whatever_the_motion_it_keeps_to_the_path_and_the_limits(seed, offset_ns, share, a, d):
    rng = np.random.default_rng(seed)
    weak = min(a, d)
    v = [rng.uniform(-1.0, 1.0, JOINTS)]
    for _ in range(7):
        v.append(v[-1] + rng.uniform(-share, share, JOINTS) * weak * 0.01)
    steps = int(np.ceil(np.abs(v[-1]).max() / (weak * 0.01)))
    v += [v[-1] * (1 - k / steps) for k in range(1, steps + 1)]
    whole, now = track_of(np.array(v)), NOW + offset_ns
    slowed = brake(whole, now, now, reach(a, d, JOINTS))
    if slowed is None:
        return
    q0, v0 = whole.state_at(now)
    np.testing.assert_array_equal(slowed.positions[0], q0)
    np.testing.assert_array_equal(slowed.velocities[0], v0)
    assert not slowed.velocities[-1].any() and (np.diff(slowed.times_ns) > 0).all()
    times, q, seen = dense(slowed, now, slowed.end_ns)
    assert distance_to(whole, q[::8]) < 3e-4
    speed = np.abs(seen)
    assert (speed <= np.abs(np.array(v)).max(axis=0) + 1e-6).all()
    # by differences: whether the speed of a joint grew or shrank
    change = np.diff(seen, axis=0) / np.diff(times)[:, None]
    slack = 0.03 * max(a, d) + 1e-6
    grows = np.diff(speed, axis=0) > 0.0
    same_way = seen[1:] * seen[:-1] > 0.0
    allowed = np.where(same_way, np.where(grows, a, d), max(a, d))
    assert (np.abs(change) <= allowed + slack).all()


def from_rest(seed, a):
    """Return a random motion whose joints speed up and brake by exactly ``a`` (joints,)."""
    rng = np.random.default_rng(seed)
    v, target = [np.zeros(len(a))], rng.uniform(-1.0, 1.0, len(a))
    for _ in range(rng.integers(3, 20)):
        if rng.random() < 0.2:
            target = rng.uniform(-1.0, 1.0, len(a)) * (rng.random(len(a)) < 0.8)
        v.append(v[-1] + np.clip(target - v[-1], -a * 0.01, a * 0.01))
    while v[-1].any():
        v.append(np.sign(v[-1]) * np.maximum(np.abs(v[-1]) - a * 0.01, 0.0))
    return track_of(np.array(v))


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    limit=st.lists(st.sampled_from([1.0, 3.0, 6.0, 7.3]), min_size=1, max_size=3),
    row=st.integers(0, 30),
    offset_ns=st.integers(-3, 3),
)
@example(seed=15445, limit=[1.0, 1.0], row=12, offset_ns=2)  # stops at a knot, but for rounding
@example(seed=16921, limit=[1.0, 7.3], row=8, offset_ns=0)
@example(seed=34413, limit=[3.0, 7.3, 1.0], row=8, offset_ns=-2)
def test_times_rise_where_the_track_uses_all_of_the_limits(seed, limit, row, offset_ns):
    a, begin_ns = np.array(limit), NOW + row * STEP + offset_ns
    whole = from_rest(seed, a)
    slowed = brake(whole, begin_ns, begin_ns, Reach(a, a, np.full(len(a), 2.0)))
    if slowed is None:
        return
    assert (np.diff(slowed.times_ns) > 0).all()
    assert not slowed.velocities[-1].any()
    assert slowed.end_ns < whole.end_ns + STEP


def test_a_joint_that_stops_near_its_limit_is_not_swung_past_it():
    """Near its end a braked way is short, and a cubic from knot to knot could go beyond."""
    rng = np.random.default_rng(5)
    worst = 0.0
    for _ in range(300):
        v0 = rng.uniform(0.2, 1.0, 3)
        fall = np.maximum(v0 - 0.1 * np.arange(14)[:, None] * rng.uniform(0.6, 1.0, 3), 0.0)
        fall[-1] = 0.0
        q = np.vstack((np.zeros(3), np.cumsum((fall[1:] + fall[:-1]) / 2 * 0.01, axis=0)))
        top = q[-1].copy()
        track = Track(NOW + np.arange(14, dtype=np.int64) * 10 * MS, q, fall)
        ten = np.full(3, 10.0)
        reach = Reach(ten, ten, np.full(3, 2.0), np.full(3, -9.0), top)
        begin = NOW + int(rng.integers(0, 120)) * MS
        braked = brake(track, begin, begin, reach)
        if braked is None:
            continue
        seen = [braked.state_at(at)[0] for at in range(begin, braked.end_ns + 1, MS // 4)]
        worst = max(worst, float((np.array(seen) - top).max()))
    assert worst <= 1e-8
