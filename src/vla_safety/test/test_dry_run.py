"""A dry run: the gate works as always, and the arm follows nothing of it."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from safety_world import World, count, make_robot

from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import State


class Dry(World):
    """The arm stands, or somebody else moves it at ``speed`` [rad/s]."""

    speed = 0.0

    def __init__(self, dry_run=True, **safety):
        robot = make_robot(3, **safety)
        super().__init__(replace(robot, controller=replace(robot.controller, dry_run=dry_run)))

    def joint_state(self):
        q, v = self.q.tolist(), [self.speed] * 3
        self.gate.on_joint_state(list(self.robot.joints), q, v, self.now)

    def play(self, seconds, wanted):
        """Plan from where the arm is measured, at ``wanted`` [rad/s]; return the share by state."""
        states = Counter()
        for _ in range(round(seconds * 20)):
            self.chunk(self.q + wanted * 0.05 * np.arange(1, 9)[:, None])
            for _ in range(5):
                self.q = self.q + self.speed * 0.01
                self.tick(10)
                states[self.gate.state.name] += 1
        return {name: n / sum(states.values()) for name, n in states.items()}


@pytest.mark.parametrize("wanted", [0.0, 0.3, -1.0])
def test_an_arm_that_stands_is_no_fault(wanted):
    world = Dry().enabled()
    assert world.play(5.0, wanted) == {"ACTIVE": 1.0}
    ahead = (world.gate.motion.command(world.now)[0] - world.q) * np.sign(wanted)
    # it shows where the plan would have led, which begins anew at the arm again and again
    assert (ahead >= 0.0).all() and (ahead <= 0.4 * abs(wanted)).all()
    assert (ahead > 0.02 * abs(wanted)).all() or not wanted


@pytest.mark.parametrize("speed", [0.3, -0.7])
def test_an_arm_that_is_teleoperated_is_followed(speed):
    world = Dry(velocity_scale=1.0).enabled()
    world.speed = speed
    shares = world.play(1.5, speed)
    assert shares == {"ACTIVE": 1.0}
    assert np.abs(world.gate.motion.command(world.now)[0] - world.q).max() < 0.15


def test_one_that_goes_elsewhere_is_caught_up_with():
    """Teleoperation goes one way, the plans the other; then it jumps off."""
    world = Dry().enabled()
    world.speed = 0.4
    shares = world.play(3.0, -0.4)
    assert shares["ACTIVE"] > 0.9 and "LATCHED" not in shares
    world.speed, world.q = 0.0, world.q - 1.0
    world.play(2.0, 0.0)
    assert world.gate.state is State.ACTIVE
    np.testing.assert_allclose(world.gate.motion.command(world.now)[0], world.q, atol=0.02)


def test_in_a_hold_it_stays_with_an_arm_that_is_moved():
    world = Dry().enabled()
    world.run(400)  # no plans
    assert world.gate.state is State.HOLD and count(world, Reason.NO_CHUNK)
    world.speed = 0.4
    for _ in range(20):
        world.q = world.q + world.speed * 0.02
        world.tick()
    assert world.gate.state is State.HOLD
    assert world.q[0] == pytest.approx(0.16)
    np.testing.assert_allclose(world.gate.motion.command(world.now)[0], world.q, atol=0.03)


def test_tracking_is_not_judged_but_everything_else_is():
    world = Dry().enabled()
    world.play(1.0, 0.8)
    assert not count(world, Reason.TRACKING) and not count(world, Reason.LAGGING)
    world.joints_talk = False
    world.run(100)
    assert world.gate.state is State.HOLD and count(world, Reason.JOINT_STALE)
    world.gate.stop(world.now)
    world.run(300)
    assert world.gate.state is State.LATCHED


def test_without_a_dry_run_the_same_arm_lags_behind():
    world = Dry(dry_run=False).enabled()
    assert world.play(3.0, 1.0).get("HOLD", 0.0) > 0.2 and count(world, Reason.LAGGING)
