"""The gate is disabled during motion, holds at once, or was another one meanwhile."""

import numpy as np
import pytest
from command_world import A_MAX, MS, RUN_UP, path, robot, run_up

from vla_command.core.checks import Bounds, Refusal
from vla_command.core.commander import Commander
from vla_command.core.path import GateState
from vla_command.core.watchdog import Mode, Watchdog

NOW = 10_000 * MS
LEASE = 60 * MS
TICK = 10 * MS
BOUNDS = Bounds.of(robot())


def moving(streamed=False, speed=0.6):
    """Return a publisher whose arm moves with ``speed`` at ``NOW``."""
    unit, now = Commander(BOUNDS, LEASE, streamed=streamed), NOW - RUN_UP
    first = run_up(NOW, speed=speed, seq=2)
    unit.on_gate(GateState.READY, now + LEASE, now)
    unit.on_path(path(now, start_q=first.positions[0], speed=0.0, state=GateState.READY), now)
    unit.on_gate(GateState.ACTIVE, now + LEASE, now)
    assert unit.on_path(first, now) is not None
    while now < NOW:
        now += TICK
        unit.on_gate(GateState.ACTIVE, now + LEASE, now)
        unit.tick(now)
    return unit


@pytest.mark.parametrize("state", [GateState.INACTIVE, GateState.READY])
@pytest.mark.parametrize("by_path", [False, True])
def test_a_gate_that_is_disabled_during_motion_stops_the_arm_at_once(state, by_path):
    unit, now = moving(), NOW + 2 * MS
    q, _ = unit.track.state_at(now)
    end, end_ns = unit.track.positions[-1, 0], unit.track.end_ns
    if by_path:
        sent = unit.on_path(path(now, seq=3, start_q=q, speed=0.0, state=state), now)
    else:
        unit.on_gate(state, now + LEASE, now)
        sent = unit.tick(now)
    assert unit.watchdog.mode is Mode.ARMED and unit.followed == 0
    assert not sent.velocities[-1].any()
    soon = round(0.6 / A_MAX * 1e9)
    assert sent.from_start_ns[-2] <= BOUNDS.lead_ns + soon + 5 * MS
    assert now + sent.from_start_ns[-2] < end_ns and sent.positions[-1, 0] < end - 0.01
    np.testing.assert_array_equal(unit.rest, sent.positions[-1])
    assert unit.tick(now) is None and unit.tick(now + TICK) is None  # once


def test_a_streamed_output_slows_down_when_the_gate_is_disabled():
    unit, now, speeds = moving(streamed=True), NOW, [0.6]
    while not unit.resting(now):
        now += TICK
        unit.on_gate(GateState.INACTIVE, now + LEASE, now)
        sample = unit.tick(now)
        speeds.append(sample.velocity[0] if sample is not None else 0.0)
    assert now - NOW <= BOUNDS.lead_ns + 0.6 / A_MAX * 1e9 + 2 * TICK
    assert (np.diff(speeds) <= 1e-9).all() and speeds[4] < 0.5
    assert np.abs(np.diff(speeds)).max() <= A_MAX * 0.01 + 1e-6


def test_a_gate_that_is_disabled_at_rest_is_sent_nothing():
    unit = moving()
    now = unit.track.end_ns
    for at in range(NOW, now, TICK):
        unit.on_gate(GateState.ACTIVE, at + LEASE, at)
    unit.on_gate(GateState.READY, now + LEASE, now)
    assert unit.watchdog.mode is Mode.ARMED and unit.tick(now) is None


def test_a_path_that_was_joined_meanwhile_is_not_braked():
    unit = moving()
    for state in (GateState.READY, GateState.ACTIVE):
        unit.on_gate(state, NOW + LEASE, NOW)
    q, v = unit.track.state_at(NOW)
    again = path(NOW, seq=3, start_q=q, speed=v, lead_ns=0)
    assert unit.on_path(again, NOW) is not None and unit.followed == 3
    assert unit.tick(NOW) is None and unit.followed == 3


@pytest.mark.parametrize("state", [GateState.ACTIVE, GateState.SLOW, GateState.HOLD])
def test_an_enabled_gate_is_followed_whatever_is_heard_of_it_first(state):
    watchdog = Watchdog(LEASE)
    watchdog.hear(state, NOW + LEASE, NOW)
    assert watchdog.mode is Mode.WAITING
    watchdog.hear(GateState.READY, NOW + LEASE, NOW)
    watchdog.hear(state, NOW + LEASE, NOW)
    assert watchdog.mode is Mode.FOLLOWING


@pytest.mark.parametrize("state", [GateState.STOPPING, GateState.LATCHED])
def test_a_gate_that_stops_is_not_one_that_was_enabled(state):
    watchdog = Watchdog(LEASE)
    watchdog.hear(GateState.READY, NOW + LEASE, NOW)
    watchdog.hear(state, NOW + LEASE, NOW)
    assert watchdog.mode is Mode.ARMED


def armed(seq=5, at=0.4):
    unit = Commander(BOUNDS, LEASE, streamed=False)
    unit.on_gate(GateState.READY, NOW + LEASE, NOW)
    unit.on_path(path(NOW, seq=seq, start_q=at, speed=0.0, state=GateState.READY), NOW)
    assert unit.heard == seq
    return unit


def test_what_a_gate_said_that_fell_silent_while_not_enabled_is_forgotten():
    unit = armed()
    now = NOW + LEASE
    unit.on_gate(GateState.INACTIVE, now + LEASE, now)
    assert unit.watchdog.mode is Mode.ARMED and unit.heard == 0
    unit.on_gate(GateState.ACTIVE, now + LEASE, now)
    first = path(now, seq=1, start_q=0.4, speed=0.0)
    assert unit.on_path(first, now) is None  # nobody said where motion is to begin


@pytest.mark.parametrize("streamed", [False, True])
def test_a_gate_that_never_said_where_motion_begins_is_told_so_by_a_latch(streamed):
    unit, now = Commander(BOUNDS, LEASE, streamed=streamed), NOW
    for state in (GateState.READY, GateState.ACTIVE):
        unit.on_gate(state, now + LEASE, now)
    assert unit.watchdog.mode is Mode.FOLLOWING  # what says it may still be on its way
    assert unit.on_path(path(now, seq=1, start_q=0.4, speed=0.0), now) is None
    assert unit.watchdog.mode is Mode.LATCHED and unit.tick(now + TICK) is None
    assert unit.watchdog.cause == "it was not told where motion begins"
    now += TICK
    unit.on_gate(GateState.LATCHED, now + LEASE, now)  # as the gate hears of it
    begin = path(now, seq=2, start_q=0.4, speed=0.0, state=GateState.READY)
    assert unit.watchdog.mode is Mode.ARMED and unit.on_path(begin, now) is None
    unit.on_gate(GateState.ACTIVE, now + LEASE, now)
    first = path(now, seq=3, start_q=0.4, speed=0.0)
    assert unit.on_path(first, now) is not None and unit.watchdog.mode is Mode.FOLLOWING


def test_an_enable_that_is_the_first_word_after_a_silence_is_not_followed():
    unit = armed()
    now = NOW + LEASE
    unit.on_gate(GateState.ACTIVE, now + LEASE, now)
    assert unit.watchdog.mode is Mode.LATCHED and unit.heard == 0
    assert unit.watchdog.cause == "the gate fell silent before its enable"
    now += TICK
    unit.on_gate(GateState.LATCHED, now + LEASE, now)
    assert unit.watchdog.mode is Mode.ARMED


def test_leases_that_come_late_all_at_once_are_no_silence():
    unit, now = armed(), NOW + 100 * MS
    for at in range(NOW, now, TICK):
        unit.on_gate(GateState.READY, at + LEASE, now)
    unit.on_gate(GateState.ACTIVE, now + LEASE, now)
    assert unit.watchdog.mode is Mode.FOLLOWING and unit.heard == 5
    assert unit.on_path(path(now, seq=6, start_q=0.4, speed=0.0), now) is not None


def outside(now, seq):
    return path(now, seq=seq, start_q=50.0, speed=0.0)


def test_a_path_that_is_refused_for_what_it_says_was_heard_and_is_not_followed():
    """So the gate goes on at once from the one that is, not after half a period of plans."""
    unit, now = armed(), NOW
    unit.on_gate(GateState.ACTIVE, now + LEASE, now)
    unit.on_path(path(now, seq=6, start_q=0.4, speed=0.0), now)
    now += TICK
    assert unit.on_path(outside(now, 7), now) is None
    assert (unit.heard, unit.followed) == (7, 6) and unit.refused == {Refusal.LIMITS: 1}
    unit.on_path(path(now, seq=6, start_q=0.4, speed=0.0), now)  # one of before says nothing
    late = path(now - LEASE, seq=8, start_q=0.4, speed=0.0)
    unit.on_path(late, now)
    assert unit.heard == 7


def test_while_armed_only_a_path_that_is_good_was_heard():
    """The gate asks for one before it is enabled: it says where motion begins."""
    unit = armed()
    unit.on_path(outside(NOW, 6), NOW)
    assert unit.heard == 5 and unit.refused == {Refusal.LIMITS: 1}


def test_a_gate_that_goes_on_is_no_fresh_start():
    unit = armed()
    for now in range(NOW, NOW + 1000 * MS, LEASE - 1):
        unit.on_gate(GateState.READY, now + LEASE, now)
    assert unit.heard == 5 and unit.watchdog.armed == 1


def test_a_state_that_is_not_known_is_no_sign_of_life():
    unit, now = moving(), NOW
    while now < NOW + LEASE:
        now += TICK
        unit.on_gate(7, now + LEASE, now)
        sent = unit.tick(now)
    assert unit.watchdog.mode is Mode.LATCHED and not sent.velocities[-1].any()


def test_a_silence_while_following_is_a_lost_lease_and_nothing_else():
    unit = moving()
    count = unit.watchdog.armed
    now = NOW + LEASE
    unit.on_gate(GateState.READY, now + LEASE, now)
    assert unit.watchdog.mode is Mode.FOLLOWING and unit.watchdog.armed == count
    assert unit.tick(now) is not None and unit.watchdog.mode is Mode.LATCHED
