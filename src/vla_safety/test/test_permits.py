"""What an operator is told when reset or enable is refused, word for word; and the counts."""

import numpy as np
import pytest
from safety_world import MS, World, make_robot

from vla_safety.core.reasons import MINUTE_NS, REASONS, Counts, Reason
from vla_safety.core.state_machine import Event, Machine, State

SECOND = 1000 * MS


@pytest.fixture
def world():
    return World(make_robot(3)).enabled()


def moving(world):
    for _ in range(6):
        q = world.gate.motion.command(world.now)[0]
        world.chunk(q + 0.02 * np.arange(1, 9)[:, None])
        world.tick(20), world.tick(20), world.tick(10)
    return world


def test_while_the_arm_stops(world):
    moving(world).gate.stop(world.now)
    assert world.gate.state is State.STOPPING
    blocked = world.gate.reset_blocked_by(world.now)
    assert [text for text in blocked if not text.startswith("joint_command_publisher")] == [
        "the stop has not ended",
        "stop_requested less than 1 s ago",
    ]
    assert world.gate.enable_blocked_by(world.now) == ["state STOPPING: ~/reset first"]


def test_a_cause_must_be_away_for_a_second(world):
    world.gate.stop(world.now)
    begun = world.now
    world.tick(999)
    assert world.gate.reset_blocked_by(begun + SECOND - 1) == ["stop_requested less than 1 s ago"]
    assert world.gate.reset_blocked_by(begun + SECOND) == []


def test_an_arm_that_moves_and_one_that_is_silent(world):
    world.gate.stop(world.now)
    world.joints_talk = False
    world.tick(1500)
    assert world.gate.reset_blocked_by(world.now) == ["joint states missing or stale"]
    world.gate.on_joint_state(["j0", "j1", "j2"], [0.0] * 3, [0.5, 0.0, 0.0], world.now)
    assert world.gate.reset_blocked_by(world.now) == ["the arm moves"]


def test_a_joint_outside_blocks_enable_but_not_reset(world):
    world.gate.stop(world.now)
    world.joints_talk = False
    world.tick(1500)
    world.gate.on_joint_state(["j0", "j1", "j2"], [2.1, 0.0, 0.0], [0.0] * 3, world.now)
    assert world.gate.reset(world.now)[0]
    assert world.gate.enable_blocked_by(world.now) == [
        "a joint is measured outside its position limits"
    ]


def test_a_required_emergency_stop():
    world = World(make_robot(2, estop_required=True))
    world.tick()
    assert world.gate.enable_blocked_by(world.now) == [
        "no e-stop heartbeat was seen on /vla/estop: safety.estop_required is true"
    ]


def test_enabled_already_and_no_reset_needed(world):
    assert world.gate.enable_blocked_by(world.now) == ["enabled already: state ACTIVE"]
    assert world.gate.reset_blocked_by(world.now) == []


def test_counts():
    counts = Counts()
    assert set(counts.total) == set(REASONS)
    assert set(counts.total.values()) == {0}
    assert counts.minute(Reason.STALE, 0) == 0
    for now in (0, 10, MINUTE_NS):
        counts.add(Reason.STALE, now)
    assert counts.total[Reason.STALE] == 3
    assert counts.last_ns[Reason.STALE] == MINUTE_NS
    assert counts.last_ns[Reason.JUMP] == -1
    assert counts.minute(Reason.STALE, MINUTE_NS) == 2
    assert counts.minute(Reason.STALE, MINUTE_NS + 10) == 1
    assert counts.minute(Reason.STALE, 2 * MINUTE_NS - 1) == 1
    assert counts.minute(Reason.JUMP, MINUTE_NS) == 0


def test_the_minute_remembers_a_flood_only_in_part():
    counts = Counts()
    for now in range(5000):
        counts.add(Reason.STALE, now)
    assert counts.total[Reason.STALE] == 5000
    assert counts.minute(Reason.STALE, 5000) == 4096


def test_a_machine_begins_inactive_without_a_cause():
    machine = Machine()
    assert (machine.state, machine.cause, machine.transitions) == (State.INACTIVE, "", 0)
    assert machine.since_ns == 0
    machine.raise_event(Event.ENABLE, 5, "asked")
    assert machine.cause == "asked"
    machine.raise_event(Event.DEACTIVATE, 6)
    assert machine.cause == ""
