"""When the gate wants to be asked again: at the first nanosecond that has something to answer."""

from __future__ import annotations

import numpy as np
import pytest
from safety_world import MS, ROS, World, make_robot

from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import State


def speak(world, *silent):
    """Let all sources speak now, but for those that are silent."""
    world.publisher()
    world.camera_health()
    if "joints" not in silent:
        world.joint_state()
    if "estop" not in silent:
        world.gate.on_estop("button", False, world.now)
    if "plans" not in silent:
        world.chunk(np.zeros((8, 2)))


@pytest.fixture
def world():
    result = World(make_robot(2)).enabled()
    speak(result)
    assert result.gate.state is State.ACTIVE
    return result


CASES = {
    "plans": ("no_chunk_ms", Reason.NO_CHUNK),
    "joints": ("joint_state_ms", Reason.JOINT_STALE),
    "estop": ("estop_timeout_ms", Reason.HEARTBEAT),
}


@pytest.mark.parametrize("silent", sorted(CASES))
def test_it_is_due_when_the_first_source_has_been_silent_for_too_long(world, silent):
    key, reason = CASES[silent]
    limit = round(getattr(world.robot.safety, key) * MS)
    heard = world.now
    while world.now + 10 * MS < heard + limit:
        world.now += 10 * MS
        speak(world, silent)
        world.gate.watch(world.now)
    due = world.gate.due_ns(world.now)
    assert due == heard + limit + 1
    world.gate.watch(due - 1)
    assert world.gate.state is State.ACTIVE
    assert world.gate.due_ns(due - 1) == due
    world.gate.watch(due)
    assert world.gate.state is not State.ACTIVE
    assert world.gate.machine.cause.startswith(reason.value)
    assert world.gate.due_ns(due) != due


def test_what_is_silent_already_is_not_due_again():
    world = World(make_robot(2)).enabled()
    world.now += 2000 * MS
    world.publisher()
    world.camera_health()
    world.gate.watch(world.now)
    assert world.gate.state is State.HOLD
    assert world.gate.due_ns(world.now) == 0


def test_before_enable_nothing_is_due():
    world = World(make_robot(2))
    assert world.gate.due_ns(world.now) == 0
    world.tick()
    assert world.gate.due_ns(world.now) == 0


def test_a_clock_jump_is_answered_between_two_ticks(world):
    world.now += 5 * MS
    world.gate.watch(world.now, world.now + ROS)
    world.gate.watch(world.now)  # without ROS time there is nothing to compare
    assert world.gate.state is State.ACTIVE
    world.gate.watch(world.now, world.now + ROS + 10**9)
    assert world.gate.state is State.HOLD
    assert world.gate.machine.cause == Reason.CLOCK_JUMP.value
    assert world.gate.last_error is None


@pytest.mark.parametrize(("pause_ms", "limit_ms"), [(15.0, 30), (15.001, 50), (45.0, 50)])
def test_after_a_pause_of_its_own_the_gate_waits_for_joint_states_a_little_longer(
    world, pause_ms, limit_ms
):
    """The computer that stood still kept the driver from sending, too."""
    heard = world.now
    world.gate.watch(world.now)
    world.now += round(pause_ms * MS)
    world.gate.watch(world.now)
    due = world.gate.due_ns(world.now)
    assert due == heard + limit_ms * MS + 1
    speak(world, "joints")
    world.gate.watch(due - 1)
    assert world.gate.state is State.ACTIVE
    world.gate.watch(due)
    assert world.gate.machine.cause == Reason.JOINT_STALE.value


def test_what_comes_after_a_pause_is_stale_as_soon_as_ever(world):
    world.gate.watch(world.now)
    world.now += 25 * MS
    world.gate.watch(world.now)
    world.now += 1
    speak(world)
    assert world.gate.due_ns(world.now) == world.now + 30 * MS + 1


def test_a_joint_that_was_silent_before_the_pause_is_not_waited_for_again(world):
    """Each pause lets it be 50 ms old, not 50 ms more."""
    heard = world.now
    for ms in (16, 16, 16):
        world.now += ms * MS
        speak(world, "joints")
        world.gate.watch(world.now)
        assert world.gate.state is State.ACTIVE
        assert world.gate.due_ns(world.now) == heard + 50 * MS + 1


def test_who_asks_for_more_patience_gets_it():
    world = World(make_robot(2, joint_state_ms=80.0)).enabled()
    heard = world.now
    world.now += 20 * MS
    speak(world, "joints")
    world.gate.watch(world.now)
    assert world.gate.due_ns(world.now) == heard + 80 * MS + 1
