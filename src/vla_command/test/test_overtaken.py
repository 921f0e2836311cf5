"""Leases and paths come on two topics: a path may come after newer words of its gate."""

import numpy as np
import pytest
from command_world import MS, path, robot, run_up

from vla_command.core.checks import Bounds, Refusal
from vla_command.core.commander import Commander
from vla_command.core.path import GateState
from vla_command.core.watchdog import Mode

NOW = 10_000 * MS
LEASE = 60 * MS
BOUNDS = Bounds.of(robot())
HALTS = [GateState.HOLD, GateState.STOPPING, GateState.LATCHED]


def stand(now, seq, q=0.0, state=GateState.READY, **changes):
    """Return a path that stands at ``q``."""
    wide = np.ones(len(BOUNDS.joints))
    return path(
        now, seq=seq, horizon=1, tail_start=0, positions=wide * q, velocities=wide * 0.0,
        state=state, valid_until_ns=now + LEASE, **changes,
    )  # fmt: skip


def enabled(streamed):
    """Return a publisher that follows an arm that stands at 0."""
    unit = Commander(BOUNDS, LEASE, streamed=streamed)
    unit.on_gate(GateState.READY, NOW + LEASE, NOW)
    unit.on_path(stand(NOW, 1), NOW)
    unit.on_gate(GateState.ACTIVE, NOW + LEASE, NOW)
    unit.on_path(stand(NOW, 2, state=GateState.ACTIVE), NOW)
    assert unit.watchdog.mode is Mode.FOLLOWING
    return unit


def plan(sent_ns, seq, state=GateState.ACTIVE):
    """Return a path that sets an arm at 0 in motion, sent at ``sent_ns``."""
    first = run_up(sent_ns + 190 * MS, speed=0.4, seq=seq)
    q = first.positions - first.positions[0]
    return path(
        sent_ns, seq=seq, horizon=first.horizon, tail_start=first.tail_start, lead_ns=20 * MS,
        positions=q, velocities=first.velocities, state=state, valid_until_ns=sent_ns + LEASE,
    )  # fmt: skip


def moves(unit, now):
    """Return whether the arm moves at any time from now on."""
    return any(unit.track.state_at(now + t * MS)[1].any() for t in range(0, 500, 5))


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("moving", [GateState.ACTIVE, GateState.SLOW])
@pytest.mark.parametrize("halt", HALTS)
@pytest.mark.parametrize("by_path", [False, True])
def test_a_plan_that_is_older_than_a_stop_moves_nothing(streamed, moving, halt, by_path):
    unit, late = enabled(streamed), plan(NOW + 10 * MS, 3, moving)
    now = NOW + 15 * MS
    if by_path:
        unit.on_path(stand(now, 4, state=halt), now)
    else:
        unit.on_gate(halt, now + LEASE, now)
    now += 5 * MS
    unit.on_path(late, now)
    assert not moves(unit, now) and unit.followed != 3
    assert unit.refused[Refusal.SEQ] == 1 and unit.heard >= 3  # the gate is told that it was heard


def test_in_order_the_same_plan_is_followed():
    unit = enabled(False)
    unit.on_path(plan(NOW + 10 * MS, 3), NOW + 15 * MS)
    assert moves(unit, NOW + 15 * MS) and unit.followed == 3


def test_after_a_hold_that_is_over_plans_are_followed_again():
    unit, now = enabled(False), NOW + 15 * MS
    unit.on_gate(GateState.HOLD, now + LEASE, now)
    now += 10 * MS
    unit.on_gate(GateState.ACTIVE, now + LEASE, now)
    unit.on_path(plan(now, 3), now + MS)
    assert moves(unit, now) and unit.followed == 3


def test_a_stop_that_comes_after_the_word_of_it_is_followed():
    unit = enabled(False)
    first = plan(NOW + 10 * MS, 3)
    unit.on_path(first, NOW + 10 * MS)
    now = NOW + 150 * MS
    for at in range(NOW + 20 * MS, now, 10 * MS):
        unit.on_gate(GateState.ACTIVE, at + LEASE, at)
        unit.tick(at)
    q, v = unit.track.state_at(now + 20 * MS)
    assert v.any()
    stop = path(now, seq=4, start_q=q, speed=v, lead_ns=20 * MS, cruise=1, tail_start=0,
                state=GateState.STOPPING, valid_until_ns=now + LEASE)  # fmt: skip
    unit.on_gate(GateState.LATCHED, now + 5 * MS + LEASE, now + 5 * MS)
    assert unit.on_path(stop, now + 6 * MS) is not None
    assert unit.followed == 4 and not unit.refused


def test_where_the_arm_was_measured_it_is_not_sent_after_the_gate_stopped():
    unit, now = enabled(False), NOW + 15 * MS
    late = stand(now, 3, 0.05, GateState.HOLD, measured=True)
    unit.on_gate(GateState.STOPPING, now + 5 * MS + LEASE, now + 5 * MS)
    unit.on_path(late, now + 6 * MS)
    assert not moves(unit, now) and not unit.track.positions[-1].any()


@pytest.mark.parametrize("state", [GateState.READY, GateState.INACTIVE, GateState.LATCHED])
def test_an_older_word_does_not_replace_where_motion_begins(state):
    unit = Commander(BOUNDS, LEASE, streamed=True)
    unit.on_gate(GateState.READY, NOW + LEASE, NOW)
    old, new = stand(NOW, 1, 0.0, state), stand(NOW + 20 * MS, 2, 0.1, state)
    now = NOW + 25 * MS
    for said in (new, old):
        unit.on_path(said, now)
    assert unit.heard == 2
    unit.on_gate(GateState.ACTIVE, now + LEASE, now)
    np.testing.assert_array_equal(unit.track.positions[-1], np.full(3, 0.1))


def test_a_gate_that_is_started_anew_is_heard_though_it_counts_anew():
    unit = Commander(BOUNDS, LEASE, streamed=False)
    unit.on_gate(GateState.READY, NOW + LEASE, NOW)
    unit.on_path(stand(NOW, 500), NOW)
    now = NOW + 20 * MS  # sooner than its lease ends
    unit.on_path(stand(now, 1, 0.1), now)
    assert unit.heard == 1


def test_a_word_from_too_far_ahead_does_not_keep_later_plans_out():
    """Of a gate whose time is wrong: it counts no longer than a lease may."""
    unit, now = enabled(False), NOW + 15 * MS
    unit.on_gate(GateState.HOLD, now + 10**12, now)
    now += LEASE - MS
    unit.on_gate(GateState.ACTIVE, now + LEASE, now)
    unit.on_path(plan(now, 3), now)
    assert unit.followed == 3
