"""A gate that is stopped moves nothing: whatever it says then of where the arm is to stand."""

from dataclasses import replace

import numpy as np
import pytest
from command_world import JOINTS, MS, path, robot, run_up

from vla_command.core.checks import Bounds
from vla_command.core.commander import Commander
from vla_command.core.path import GateState
from vla_command.core.watchdog import Mode

NOW, LEASE = 10_000 * MS, 60 * MS
STOPPED = (GateState.STOPPING, GateState.LATCHED)


def following(streamed=False):
    """Return a commander that was enabled where the arm stands, at 0, and its time."""
    unit = Commander(Bounds.of(robot()), LEASE, streamed=streamed)
    unit.on_gate(GateState.READY, NOW + LEASE, NOW)
    unit.on_path(path(NOW, seq=1, speed=0.0, state=GateState.READY), NOW)
    unit.on_gate(GateState.ACTIVE, NOW + LEASE, NOW)
    assert unit.watchdog.mode is Mode.FOLLOWING
    return unit


def elsewhere(now, seq, state, at=0.03, speed=0.0):
    """Return a path of the gate at another place, at rest or stopping."""
    sent = path(now, seq=seq, start_q=at, speed=speed, state=state, tail_start=0, cruise=1)
    if not speed:  # as a gate says where it stands: one row
        sent = replace(sent, horizon=1, positions=np.full(3, at), velocities=np.zeros(3))
    return replace(sent, valid_until_ns=now + LEASE)


@pytest.mark.parametrize("state", STOPPED)
@pytest.mark.parametrize("speed", [0.0, 0.4])
@pytest.mark.parametrize("followed", [False, True])
def test_an_arm_at_rest_stays_where_it_is(state, speed, followed):
    """All paths before were lost, or the publisher stood still meanwhile."""
    unit, seq = following(), 2
    if followed:
        unit.on_path(path(NOW, seq=seq, speed=0.0), NOW)
        assert unit.followed == seq
    now = NOW + 30 * MS
    for _ in range(5):
        seq += 1
        assert unit.on_path(elsewhere(now, seq, state, speed=speed), now) is None
        assert unit.tick(now) is None
        now += 20 * MS
    assert unit.rest.size == 0 or not unit.rest.any()
    assert unit.on_path(elsewhere(now, seq + 1, GateState.LATCHED), now) is None
    unit.on_gate(GateState.LATCHED, now + LEASE, now)
    assert unit.watchdog.mode is Mode.ARMED  # for the next enable
    assert not unit.rest.any() and unit.rest.shape == (len(JOINTS),)


@pytest.mark.parametrize("state", STOPPED)
def test_an_arm_that_moves_stops_on_its_own_path_where_the_stop_was_lost(state):
    unit = following()
    first = run_up(NOW + 190 * MS, start_q=0.05, speed=0.5, seq=2)
    first = replace(first, positions=first.positions - first.positions[0])
    assert unit.on_path(replace(first, valid_until_ns=NOW + LEASE), NOW + 20 * MS) is not None
    now = NOW + 120 * MS
    unit.watchdog.valid_until_ns = now + LEASE
    speed = unit.track.state_at(now)[1]
    assert (speed > 0.1).all()
    braked = unit.on_path(elsewhere(now, 3, state, at=-0.05), now)
    along = [unit.track.state_at(now + t * MS)[1] for t in range(0, 200, 5)]
    assert (np.array(along) >= -1e-9).all()  # not back to where the gate is
    assert not braked.velocities[-1].any()
    assert braked.from_start_ns[-2] < 100 * MS


def test_only_a_gate_that_is_not_enabled_says_where_motion_begins():
    """The last row of a path that was let out is where nobody may be."""
    unit = Commander(Bounds.of(robot()), LEASE, streamed=False)
    unit.on_path(path(NOW, seq=1), NOW)
    unit.on_path(path(NOW, seq=2, state=GateState.LATCHED, tail_start=0), NOW)
    assert unit.ignored == 2
    unit.on_gate(GateState.ACTIVE, NOW + LEASE, NOW)
    assert unit.rest.size == 0 and unit.track is None
    unit.on_path(path(NOW, seq=3, start_q=0.2, speed=0.0, state=GateState.READY), NOW)
    unit.on_gate(GateState.ACTIVE, NOW + LEASE, NOW)
    assert unit.watchdog.mode is Mode.FOLLOWING
    assert unit.track.positions[-1].tolist() == [0.2] * 3
