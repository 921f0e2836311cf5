"""An arm that falls behind the path, because paths are lost on the way to it."""

import numpy as np
import pytest
from safety_world import World, make_robot

from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import State

SPEED = 0.6


class Behind(World):
    """An arm that can be held where it is while the gate believes that it moves."""

    stuck = False

    def joint_state(self) -> None:
        if not self.stuck:
            super().joint_state()
            return
        names = list(self.robot.joints)
        self.gate.on_joint_state(names, self.q.tolist(), [0.0] * len(names), self.now)


@pytest.fixture
def world():
    """A gate that follows joint 0 at a constant speed, and an arm that does so too."""
    result = Behind(make_robot(tracking_tolerance=0.15)).enabled()
    result.at = 0.0
    for _ in range(12):
        drive(result)
    assert result.gate.state is State.ACTIVE
    assert result.q[0] > 0.2
    return result


def drive(world):
    """Send one plan and let one period of it pass."""
    rows = np.zeros((8, 3))
    rows[:, 0] = world.at + SPEED * 0.05 * np.arange(1, 9)
    world.chunk(rows)
    world.at += SPEED * 0.05
    for _ in range(5):
        world.tick(10.0)


def test_it_holds_at_the_last_of_so_many_measurements_in_a_row_and_not_before(world):
    ticks = world.robot.safety.tracking_ticks
    assert ticks > 1
    off = world.gate.joints.lag + 0.01
    for measurement in range(1, ticks + 1):
        assert world.gate.state is State.ACTIVE
        world.now += 5_000_000
        q = world.gate.motion.command(world.now)[0] - np.array([off, 0.0, 0.0])
        world.gate.on_joint_state(list(world.robot.joints), q.tolist(), [0.0] * 3, world.now)
        world.gate.tick(world.now)
        assert world.gate.joints.lag_ticks == measurement
    assert world.gate.state is State.HOLD and world.gate.machine.cause == Reason.LAGGING.value


def test_it_holds_before_the_latch_and_goes_on_from_where_it_stands(world):
    world.stuck = True
    here = world.q.copy()
    for _ in range(20):
        if world.gate.state is State.ACTIVE:
            drive(world)
    assert world.gate.state is State.HOLD
    assert world.gate.machine.cause == Reason.LAGGING.value
    for _ in range(20):
        if world.gate.state is State.HOLD:
            drive(world)
    assert world.gate.state is State.ACTIVE
    assert world.gate.counts.total[Reason.TRACKING] == 0
    assert world.gate.motion.command(world.now)[0] == pytest.approx(here, abs=1e-9)
    told = [action for action in world.actions if action.measured]
    assert told and {action.state for action in told} == {State.HOLD}
    for action in told:  # only what says so may set the arm in motion while the gate holds
        assert action.positions[-1] == pytest.approx(here, abs=1e-9)
    world.stuck = False
    world.at = here[0]
    drive(world)
    drive(world)
    assert world.gate.state is State.ACTIVE
    assert here[0] < world.q[0] < here[0] + 2 * SPEED * 0.05


def test_a_sudden_disagreement_latches(world):
    world.stuck = True
    world.q = world.q + np.array([0.5, 0.0, 0.0])
    for _ in range(8):
        world.tick(10.0)
    assert world.gate.state in (State.STOPPING, State.LATCHED)
    assert world.gate.counts.total[Reason.TRACKING] == 1


def test_a_stop_of_a_gate_that_stands_where_it_was_measured_does_not_command_the_arm_there(world):
    world.stuck = True
    while not world.actions[-1].measured:
        drive(world)
    world.gate.press(world.now)
    told = len(world.actions)
    for _ in range(30):
        world.tick(10.0)
    assert len(world.actions) > told and world.gate.state is State.LATCHED
    assert not any(action.measured for action in world.actions[told:])


@pytest.mark.parametrize("recover", [0.0, 20.0, 200.0])
def test_where_it_stands_is_told_before_the_hold_can_end(recover):
    robot = make_robot(tracking_tolerance=0.15, recover_ms=recover, no_chunk_ms=700.0)
    world, held = Behind(robot).enabled(), False
    rows = np.outer(np.arange(1, 9), [SPEED * 0.05, 0.0, 0.0])
    for i in range(150):
        world.stuck = i >= 60
        if i % 5 == 0 and not held:
            world.chunk(world.gate.motion.command(world.now)[0] + rows)
        world.tick(10.0)
        held = held or world.gate.state is State.HOLD
        if held and world.gate.state is State.ACTIVE:
            break
    assert world.gate.state is State.ACTIVE
    told = world.actions[-1]
    assert told.measured and told.positions[-1] == pytest.approx(world.q)
    np.testing.assert_array_equal(told.positions[-1], world.gate.motion.command(world.now)[0])


class Grasping(World):
    """An arm whose jaw closes on something; held fast if asked for."""

    stuck = False

    def joint_state(self) -> None:
        if self.gate.motion.path is not None and not self.stuck:
            self.q = np.maximum(self.gate.motion.command(self.now)[0], [-9.0, -9.0, 0.3])
        self.gate.on_joint_state(list(self.robot.joints), self.q.tolist(), [0.0] * 3, self.now)


def test_an_arm_that_holds_something_goes_on_and_keeps_its_grip():
    world = Grasping(make_robot(tracking_tolerance=0.15, grippers=(2,)), np.array([0, 0, 0.6]))
    world.enabled()
    for i in range(40):
        world.stuck = i >= 20
        command = world.gate.motion.command(world.now)[0]
        rows = np.repeat(command[None], 8, axis=0)
        rows[:, 0] += 0.5 * SPEED * 0.05 * np.arange(1, 9)
        rows[:, 2] = np.maximum(-0.2, command[2] - 0.05 * np.arange(1, 9))
        world.chunk(rows)
        for _ in range(5):
            world.tick(10.0)
        if i < 20:
            assert world.gate.state is State.ACTIVE
    assert {change.cause for change in world.changes} >= {Reason.LAGGING.value}  # the arm itself
    told = [action for action in world.actions if action.measured]
    assert told and all(action.positions[-1][2] < -0.1 for action in told)
    assert world.gate.counts.total[Reason.TRACKING] == 0
