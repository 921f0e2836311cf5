"""The gate lets nothing pass to a publisher that is not there, not armed, or has given up."""

import math

import numpy as np
import pytest
from safety_world import MS, ROS, World, make_robot, moving

from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import ENABLED, State

WAITING, ARMED, FOLLOWING, LATCHED = range(4)
PATIENCE = 250  # [ms] safety.publisher_ms


class Alone(World):
    """A gate whose publisher says what the test wants."""

    said = (ARMED, "", [])

    def publisher(self) -> None:
        if self.publisher_talks:
            mode, cause, problems = self.said
            seq = self.gate.announcer.seq
            self.gate.on_command_state(mode, cause, seq, problems, self.now)


@pytest.fixture
def world():
    """Enabled, and followed."""
    result = Alone(make_robot(3, no_chunk_ms=1500.0)).enabled()
    result.said = (FOLLOWING, "", [])
    result.run(100)
    assert result.gate.state is State.ACTIVE
    return result


def until_latched(world, within_ms):
    """Tick until the gate is latched by the publisher; nothing else may have stopped it."""
    started = world.now
    while world.gate.state is not State.LATCHED:
        assert world.now - started <= within_ms * MS, world.gate.state
        world.tick(10)
    assert world.gate.machine.cause.startswith("publisher: joint_command_publisher")
    assert world.gate.counts.total[Reason.PUBLISHER] == 1
    return world.gate.machine.cause


def blocked(world):
    """Return why enable is refused, the same in the service's answer and in the report."""
    world.tick()
    why = world.gate.report(world.now).enable_blocked_by
    ok, message = world.gate.enable(world.now)
    assert ok == (not why) and (ok or message == "refused: " + "; ".join(why))
    return "; ".join(why)


@pytest.mark.parametrize(
    "said, why",
    [
        ((WAITING, "no enable seen", []), "is not armed but waiting: no enable seen"),
        ((FOLLOWING, "", []), "is not armed but following"),
        ((LATCHED, "lease lost", []), "is not armed but latched: lease lost"),
        ((LATCHED, "two", ["2 publishers", "no controller"]), "publisher: no controller"),
        ((ARMED, "", ["cmd_timeout is 0"]), "joint_command_publisher: cmd_timeout is 0"),
        ((ARMED, "", None), "joint_command_publisher: None"),
        ((7, "", []), "unknown mode, 7"),
        ((None, "", []), "unknown mode, None"),
    ],
)
def test_enable_is_refused_with_the_reason(said, why):
    world = Alone(make_robot(2))
    world.said = said
    world.run(200)
    assert why in blocked(world)
    assert world.gate.state is State.INACTIVE
    world.said = (ARMED, "", [])
    world.tick()
    assert blocked(world) == "" and world.gate.state is State.ACTIVE


def test_enable_is_refused_while_the_publisher_was_never_heard_or_is_silent():
    world = Alone(make_robot(2))
    world.publisher_talks = False
    world.run(200)
    assert "not heard on /vla/command_state" in blocked(world)
    world.publisher_talks = True
    world.tick()
    world.publisher_talks = False
    world.run(PATIENCE + 20)
    assert "not heard on /vla/command_state" in blocked(world)


def test_enable_is_refused_until_the_publisher_has_taken_a_path():
    world = Alone(make_robot(2))
    world.publisher_talks = False
    for seq in (0, 10_000):  # none; one of a gate that ran before
        world.tick()
        world.gate.on_command_state(ARMED, "", seq, [], world.now)
        assert "has taken no path" in blocked(world)
        world.gate.on_command_state(ARMED, "", seq, [], world.now)
    world.gate.on_command_state(ARMED, "", world.gate.announcer.seq, [], world.now)
    assert world.gate.enable(world.now)[0]


@pytest.mark.parametrize(
    "said",
    [
        (LATCHED, "lease lost", []),
        (WAITING, "no enable seen", []),  # it was started anew
        (ARMED, "the gate is not enabled", []),
        (FOLLOWING, "", ["no controller"]),
    ],
)
def test_a_publisher_that_gives_up_latches_the_gate_at_the_next_tick(world, said):
    world.chunk(np.full((8, 3), 0.05))
    world.said = said
    world.tick()
    assert world.gate.state in (State.STOPPING, State.LATCHED)
    cause = until_latched(world, 300)
    assert (said[2] or [said[1]])[0] in cause


def test_a_silent_publisher_latches_the_gate(world):
    world.publisher_talks = False
    world.run(PATIENCE - 20)
    assert world.gate.state is State.ACTIVE
    assert "is silent" in until_latched(world, 60)
    assert "not heard on /vla/command_state" in world.gate.reset(world.now)[1]


def test_a_publisher_that_does_not_begin_to_follow_latches_the_gate():
    world = Alone(make_robot(3, no_chunk_ms=1500.0)).enabled()
    world.run(PATIENCE - 20)
    assert world.gate.state is State.ACTIVE
    assert "is not following but armed" in until_latched(world, 60)


def test_a_held_gate_is_watched_too(world):
    world.joints_talk = False
    world.run(100)
    assert world.gate.state is State.HOLD
    world.said = (LATCHED, "lease lost", [])
    until_latched(world, 300)


def test_reset_and_enable_start_both_anew(world):
    world.said = (LATCHED, "lease lost", [])
    until_latched(world, 300)
    world.said = (ARMED, "", [])  # it has seen the gate latched
    world.run(1100)
    assert world.gate.reset(world.now) == (True, "reset; nothing moves until ~/enable")
    assert world.gate.enable(world.now)[0]
    world.tick()
    world.said = (FOLLOWING, "", [])
    world.run(2 * PATIENCE)
    assert world.gate.state is State.ACTIVE


def test_auto_enable_waits_until_the_publisher_is_armed():
    world = Alone(make_robot(2, auto_enable=True))
    world.said = (WAITING, "", [])
    world.run(3000)
    assert world.gate.state is State.INACTIVE
    assert world.gate.counts.total[Reason.PUBLISHER] == 0
    world.said = (ARMED, "", [])
    world.run(40)
    assert world.gate.state in ENABLED


def left(world, rest, measured):
    """Latch and reset, with the arm where the publisher says, or elsewhere; return the anchor."""
    names = list(world.robot.joints)
    world.gate.stop(world.now)
    world.run(400)
    world.joints_talk = False
    for _ in range(60):
        world.gate.on_joint_state(names, list(measured), [0.0] * 3, world.now)
        world.gate.on_rest(rest, world.now)
        world.tick()
    assert world.gate.reset(world.now)[0]
    world.gate.on_joint_state(names, list(measured), [0.0] * 3, world.now)
    world.tick()
    assert world.gate.enable(world.now)[0]
    return world.gate.motion.command(world.now)[0]


def test_enable_waits_until_the_publisher_has_heard_where_motion_begins():
    world = World(make_robot(3))
    world.tick()
    world.publisher_talks = world.joints_talk = False
    world.gate.on_joint_state(["j0", "j1", "j2"], [0.3, 0.0, 0.0], [0.0] * 3, world.now)
    said = world.tick().action  # it was moved by hand
    assert said.positions.tolist() == [[0.3, 0.0, 0.0]] and not said.velocities.any()
    blocked = "joint_command_publisher has not heard yet where the arm stands"
    assert world.gate.enable(world.now) == (False, f"refused: {blocked}")
    world.publisher_talks = True
    world.publisher()
    assert world.gate.enable(world.now)[0]
    assert world.gate.motion.command(world.now)[0].tolist() == [0.3, 0.0, 0.0]


def test_enable_begins_where_the_publisher_left_the_arm():
    """A stop of its own ends elsewhere than the gate's last path; a step would follow."""
    found = left(World(make_robot(3)).enabled(), (0.013, 0.0, -0.004), (0.014, 0.001, -0.004))
    assert found.tolist() == [0.013, 0.0, -0.004]


@pytest.mark.parametrize("rest", [(), (0.013, 0.0), (math.nan, 0.0, 0.0), None, "abc", (0.5, 0, 0)])
def test_what_the_publisher_says_counts_only_where_the_arm_is(rest):
    near = left(World(make_robot(3)).enabled(), rest, (0.0, 0.001, 0.0)).tolist()
    assert near == ([0.0, 0.0, 0.0] if rest == (0.5, 0, 0) else [0.0, 0.001, 0.0])
    found = left(World(make_robot(3)).enabled(), rest, (0.3, 0.0, 0.0))
    assert found.tolist() == [0.3, 0.0, 0.0]


def test_enable_right_after_reset_waits_until_the_publisher_has_heard_where_motion_begins():
    """Both requests may be served before the next tick."""
    world, rest = World(make_robot(3)).enabled(), [0.013, 0.0, 0.0]
    world.gate.stop(world.now)
    world.run(1500)
    world.gate.on_rest(rest, world.now)
    assert world.gate.reset(world.now)[0]
    blocked = "joint_command_publisher has not heard yet where the arm stands"
    assert world.gate.enable(world.now) == (False, f"refused: {blocked}")
    said = world.tick(1.0).action
    assert said.positions.tolist() == [rest] and not said.velocities.any()
    world.publisher()
    assert world.gate.enable(world.now)[0]
    assert world.gate.motion.command(world.now)[0].tolist() == rest


NOT_HEARD = "joint_command_publisher has not heard yet where the arm stands"


@pytest.mark.parametrize("by", ["tick", "watch", "enable"])
@pytest.mark.parametrize("latched", [False, True])
def test_after_a_gap_of_a_lease_enable_waits_until_the_publisher_has_heard_it_again(by, latched):
    """A gate that was silent for so long is another one to the publisher, which knows nothing."""
    world = World(make_robot(3, lease_ms=50.0))
    world.run(200)
    if latched:
        world.gate.stop(world.now)
        world.run(1500)
    world.publisher_talks = False
    world.now += 50 * MS  # the first sign of life after this is ...
    world.joint_state(), world.camera_health()
    if by != "enable":
        world.take(getattr(world.gate, by)(world.now, world.now + ROS))
        assert world.last.lease is not None and world.last.action is not None
    assert not latched or world.gate.reset(world.now)[0]
    assert world.gate.enable(world.now) == (False, f"refused: {NOT_HEARD}")
    world.tick(1)
    world.publisher_talks = True
    world.publisher()
    assert world.gate.enable(world.now)[0]


@pytest.mark.parametrize("gap", [50, 400])
def test_a_stop_that_was_not_told_before_a_gap_is_told_whole(gap):
    """The arm is on the path before: what begins in the middle of the stop would be a step."""
    world = moving(World(make_robot(3, lease_ms=50.0)).enabled())
    world.gate.stop(world.now)
    stop = world.gate.motion.path
    assert len(stop.q) > 2
    world.now += gap * MS
    told = world.take(world.gate.tick(world.now, world.now + ROS)).action
    assert told.start_ns == stop.start_ns
    np.testing.assert_array_equal(told.positions, stop.q)


def test_within_a_lease_nothing_is_told_again():
    world = World(make_robot(3, lease_ms=50.0))
    world.run(200)
    told = world.gate.announcer.seq
    world.now += 50 * MS - 1
    world.joint_state(), world.camera_health()
    world.take(world.gate.watch(world.now, world.now + ROS))
    assert world.gate.announcer.seq == told
    assert world.gate.enable(world.now)[0]


def test_a_gate_that_was_latched_before_it_knew_where_the_arm_is_can_be_reset():
    """As by an emergency stop that is pressed when everything is switched on."""
    world = World(make_robot(3))
    world.joints_talk = world.publisher_talks = False
    assert world.gate.stop(world.now)[0]
    assert world.tick().action is None
    world.joints_talk = world.publisher_talks = True
    world.run(1500)
    assert world.gate.state is State.LATCHED
    assert world.gate.reset(world.now) == (True, "reset; nothing moves until ~/enable")
    world.tick()
    assert world.gate.enable(world.now)[0]
