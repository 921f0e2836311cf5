"""The way from the last command to a new path keeps to the position limits."""

import functools

import numpy as np
import pytest
from command_world import JOINTS, MS, path, robot
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_command.core.checks import Bounds
from vla_command.core.commander import Commander
from vla_command.core.path import GateState
from vla_command.core.playback import (
    Reach,
    Track,
    bridge_accelerations,
    bridge_extents,
    first_reachable,
    hermite,
    join,
)

NOW = 10_000 * MS
TOP = 2.0  # of every joint
BOUNDS = Bounds.of(robot())
finite = st.floats(-3.0, 3.0)


@given(finite, finite, finite, finite, st.floats(0.001, 1.0))
def test_extents_are_those_of_the_cubic(q0, v0, q1, v1, span):
    q, v, to_q, to_v = (np.array([x]) for x in (q0, v0, q1, v1))
    t = np.array([span])
    start, end = bridge_accelerations(q, v, to_q[None], to_v[None], t)
    lowest, highest = bridge_extents(q, v, start, end, t)
    at = np.linspace(0.0, span, 401)
    seen = np.array([hermite(q, v, to_q, to_v, span, float(x))[0][0] for x in at])
    assert seen.max() <= max(highest[0, 0], q0, q1) + 1e-9
    assert seen.min() >= min(lowest[0, 0], q0, q1) - 1e-9
    # found on the cubic: nothing further out than what was seen, but for the grid
    slack = 0.01 * span * (abs(v0) + abs(v1) + abs(q1 - q0) / span) + 1e-9
    assert highest[0, 0] <= seen.max() + slack and lowest[0, 0] >= seen.min() - slack


def near_the_top(back):
    """Return a motion whose first joint stops at its limit, and where it is to stand instead.

    The other joint is to go back by ``back``, which takes longer than the first one's stop.
    """
    v = np.array([[0.4, 1.0, 0.0]] * 8 + [[0.4 * s, s, 0.0] for s in np.linspace(0.92, 0.0, 13)])
    v[8:, 0] = np.maximum(0.4 - 0.08 * np.arange(1, 14), 0.0)
    q = np.vstack((np.zeros(3), np.cumsum((v[1:] + v[:-1]) / 2 * 0.01, axis=0)))
    q[:, 0] += TOP - q[-1, 0]
    there = q[-1] - np.array([0.4 * back, back, 0.0])
    return Track(NOW + np.arange(len(v), dtype=np.int64) * 10 * MS, q, v), there


def standing_at(q, now, **changes):
    return path(now, horizon=1, tail_start=0, positions=q, velocities=np.zeros(3), **changes)


@pytest.mark.parametrize("back", [0.02, 0.05, 0.1, 0.15])
@pytest.mark.parametrize("after_ms", range(60, 140, 10))
def test_a_joint_near_its_limit_does_not_swing_past_it(back, after_ms):
    """Where it is not joined, it would have swung past its limit, or braked too hard."""
    first, there = near_the_top(back)
    now = NOW + after_ms * MS
    free = Reach(BOUNDS.reach.a_max, BOUNDS.reach.d_max, BOUNDS.reach.v_max)
    track, without = (
        join(first, standing_at(there, now), now, reach) for reach in (BOUNDS.reach, free)
    )
    if track is None:
        assert without is None or highest(without, now) > TOP + 1e-4
    else:
        assert highest(track, now) <= TOP + 1e-8
    assert (track is not None) == (after_ms >= 120)


def highest(track, now):
    """Return how far the first joint goes on a track from ``now`` on."""
    return max(track.state_at(t)[0][0] for t in range(now, track.end_ns + 1, MS))


@pytest.mark.parametrize("back", [0.02, 0.05, 0.1, 0.15])
def test_without_its_limits_it_does_swing_past_them(back):
    """So the above would fail: what holds there does not hold by itself."""
    free = Reach(BOUNDS.reach.a_max, BOUNDS.reach.d_max, BOUNDS.reach.v_max)
    first, there = near_the_top(back)
    tracks = {
        now: join(first, standing_at(there, now), now, free)
        for now in range(NOW + 60 * MS, NOW + 140 * MS, 10 * MS)
    }
    past = [highest(track, now) - TOP for now, track in tracks.items() if track is not None]
    assert max(past) > 1e-4


def test_a_joint_far_from_its_limit_is_joined():
    first, there = near_the_top(0.1)
    low = Track(first.times_ns, first.positions - 1.0, first.velocities)
    now = NOW + 90 * MS
    assert join(low, standing_at(there - 1.0, now), now, BOUNDS.reach) is not None


def test_a_stop_that_would_swing_past_a_limit_is_made_along_the_path():
    first, there = near_the_top(0.1)
    unit = Commander(BOUNDS, 60 * MS, streamed=False)
    unit.on_gate(GateState.READY, NOW + 60 * MS, NOW)
    unit.on_gate(GateState.ACTIVE, NOW + 60 * MS, NOW)
    unit.track = first
    now = NOW + 50 * MS
    stop = standing_at(there, now, state=GateState.LATCHED)
    assert unit.on_path(stop, now) is not None
    assert unit.followed == 0 and unit.accepted == 0
    q = np.array([unit.track.state_at(t)[0] for t in range(now, unit.track.end_ns + 1, MS)])
    assert q[:, 0].max() <= TOP + 1e-9
    assert q[-1, 1] < first.positions[-1, 1]


def test_outside_its_limits_a_joint_may_go_on_to_where_it_was_not_further_out():
    wide = np.full(len(JOINTS), 8.0)
    reach = Reach(wide, wide, wide, np.full(3, -TOP), np.full(3, TOP))
    q, v = np.full(3, TOP + 0.005), np.zeros(3)
    times = NOW + np.arange(1, 40, dtype=np.int64) * 10 * MS
    for there in (TOP - 0.02, TOP + 0.005):
        rest = Track(times, np.full((39, 3), there), np.zeros((39, 3)))
        assert first_reachable(q, v, rest, NOW, reach) is not None
    # moving outwards there is no way that is not further out
    rest = Track(times, np.full((39, 3), TOP - 0.02), np.zeros((39, 3)))
    assert first_reachable(q, v + 0.05, rest, NOW, reach) is None


three = functools.partial(st.lists, min_size=3, max_size=3)


def test_whatever_is_joined_stays_inside():
    joined = []

    @settings(max_examples=200, deadline=None)
    @given(three(st.floats(-0.6, 0.6)), three(st.floats(-0.2, 0.0)), three(st.floats(0.0, 0.1)))
    def stays_inside(v, to, gap):
        q = TOP - np.array(gap)
        rest = Track(
            NOW + np.arange(1, 100, dtype=np.int64) * 10 * MS,
            np.tile(TOP + np.array(to), (99, 1)),
            np.zeros((99, 3)),
        )
        k = first_reachable(q, np.array(v), rest, NOW, BOUNDS.reach)
        joined.append(k is not None)
        if k is None:
            return
        whole = Track(
            np.concatenate(([NOW], rest.times_ns[[k]])),
            np.vstack((q, rest.positions[k])),
            np.vstack((v, rest.velocities[k])),
        )
        seen = np.array([whole.state_at(t)[0] for t in range(NOW, whole.end_ns + 1, MS)])
        assert seen.max() <= TOP + 1e-8

    stays_inside()
    assert sum(joined) > 50
