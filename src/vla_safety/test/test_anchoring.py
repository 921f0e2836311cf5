"""When another pose takes the place of the last command, call by call."""

import numpy as np
import pytest
from safety_world import MS, make_robot

from vla_safety.core.anchoring import Anchoring
from vla_safety.core.limits import limits_of
from vla_safety.core.motion import Motion
from vla_safety.core.path import Path
from vla_safety.core.sources import JointWatch

NOW = 10_000 * MS
GRIPPER = 2


class Standing:
    """An anchoring with its motion and measurements; joint 2 is a gripper."""

    def __init__(self):
        robot = make_robot(3, grippers=(GRIPPER,))
        limits = limits_of(robot)
        self.joints = JointWatch(limits, robot.safety)
        self.motion = Motion(limits, robot.safety, "test")
        self.anchoring = Anchoring(limits, self.joints, self.motion)
        self.motion.anchor(np.zeros(3), NOW)
        self.measured(np.zeros(3))

    def measured(self, q, speed=0.0, at_ns=NOW):
        assert self.joints.update(["j0", "j1", "j2"], list(q), [speed] * 3, at_ns)

    @property
    def command(self):
        return self.motion.command(NOW)[0].tolist()


@pytest.fixture
def arm():
    return Standing()


def moving():
    """Return a path that is still under way at NOW."""
    q = np.linspace(0.0, 0.1, 11)[:, None] * np.ones(3)
    return Path(NOW - 50 * MS, 10 * MS, q, np.full((11, 3), 0.1), 0)


# --- where a stop of the publisher's left the arm ---------------------------------------------
def test_it_stands_where_the_publisher_says_and_then_stays_there(arm):
    arm.anchoring.told([0.1, -0.1, 0.2], NOW)
    assert arm.anchoring.left
    assert arm.anchoring.stand_with(NOW) is True
    assert arm.command == [0.1, -0.1, 0.2]
    path = arm.motion.path
    assert arm.anchoring.stand_with(NOW) is False
    assert arm.motion.path is path


def test_where_the_publisher_says_nothing_it_stays(arm):
    for nothing in ([], None, [0.1], [float("nan")] * 3):
        arm.anchoring.told([0.1, 0.1, 0.1], NOW)
        arm.anchoring.told(nothing, NOW)
        assert not arm.anchoring.left
        assert arm.anchoring.stand_with(NOW) is False
    assert arm.command == [0.0, 0.0, 0.0]


def test_it_does_not_step_out_of_a_motion(arm):
    arm.motion.go_back(moving())
    arm.anchoring.told([0.3, 0.3, 0.3], NOW)
    assert arm.anchoring.stand_with(NOW) is False
    assert arm.motion.path is not None and len(arm.motion.path.q) == 11


# --- an arm that fell behind ------------------------------------------------------------------
def test_it_catches_up_with_an_arm_that_stands_elsewhere_once(arm):
    arm.measured([0.1, 0.0, 0.0])
    assert arm.anchoring.catch_up(NOW) is True
    assert arm.command == [0.1, 0.0, 0.0]
    assert arm.motion.path.measured
    assert arm.anchoring.catch_up(NOW) is False


@pytest.mark.parametrize("why", ["moves", "stale", "commanded to move"])
def test_it_does_not_while_the_arm(arm, why):
    arm.measured([0.1, 0.0, 0.0], speed=0.5 if why == "moves" else 0.0)
    if why == "commanded to move":
        arm.motion.go_back(moving())
    path = arm.motion.path
    assert arm.anchoring.catch_up(NOW + (500 * MS if why == "stale" else 0)) is False
    assert arm.motion.path is path


def test_a_gripper_that_holds_something_says_nothing_and_keeps_its_command(arm):
    arm.measured([0.0, 0.0, 0.5])
    assert arm.anchoring.catch_up(NOW) is False
    arm.measured([0.1, 0.0, 0.5])
    assert arm.anchoring.catch_up(NOW) is True
    assert arm.command == [0.1, 0.0, 0.0]


def test_moved_by_others_it_follows_grippers_and_arms_in_motion_too(arm):
    arm.measured([0.0, 0.0, 0.5])
    assert arm.anchoring.catch_up(NOW, moved_by_others=True) is True
    assert arm.command == [0.0, 0.0, 0.5]
    arm.measured([0.1, 0.0, 0.5], speed=0.5)
    assert arm.anchoring.catch_up(NOW, moved_by_others=True) is True
    assert arm.command == [0.1, 0.0, 0.5]
