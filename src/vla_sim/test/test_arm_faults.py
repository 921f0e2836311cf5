"""Joints that are held fast or measured wrongly; a typing error is refused, nothing half done."""

import numpy as np
import pytest
from test_world import S, move, run

from vla_common.core.errors import ConfigError
from vla_sim.core.arm import HOME_Q, JOINTS
from vla_sim.core.arm_faults import ABOUT, ArmFaults
from vla_sim.core.world import World


def test_without_faults_nothing_is_changed():
    faults = ArmFaults(JOINTS)
    assert faults.driven(HOME_Q, HOME_Q + 1.0) is HOME_Q
    np.testing.assert_array_equal(faults.measured(HOME_Q), HOME_Q)


def test_a_held_joint_goes_to_where_it_was_when_it_was_held_and_back_when_it_is_free():
    faults = ArmFaults(JOINTS)
    faults.set("held", "joint2, gripper")
    first = faults.driven(HOME_Q + 0.3, HOME_Q)
    later = faults.driven(HOME_Q + 0.4, HOME_Q + 0.1)
    for found, away in ((first, 0.3), (later, 0.4)):
        np.testing.assert_array_equal(found[[1, 7]], HOME_Q[[1, 7]])
        np.testing.assert_array_equal(found[[0, 6]], (HOME_Q + away)[[0, 6]])
    faults.set("held", "joint2")  # asked for anew: from where it is now
    np.testing.assert_array_equal(faults.driven(HOME_Q + 0.5, HOME_Q + 0.2)[1], HOME_Q[1] + 0.2)
    faults.set("held", "")
    np.testing.assert_array_equal(faults.driven(HOME_Q + 0.5, HOME_Q), HOME_Q + 0.5)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("held", "elbow"),
        ("held", "joint1=0.1"),
        ("offset", "joint1"),
        ("offset", "joint1=much"),
        ("offset", "joint1=nan"),
        ("offset", "joint1=0.2,elbow=0.1"),
    ],
)
def test_what_is_no_fault_is_refused_and_changes_nothing(kind, value):
    faults = ArmFaults(JOINTS)
    assert set(ABOUT) == {"held", "offset"}
    with pytest.raises(ConfigError, match=f"sim_arm: {kind} = "):
        faults.set(kind, value)
    assert faults.driven(HOME_Q, HOME_Q + 1.0) is HOME_Q
    np.testing.assert_array_equal(faults.measured(HOME_Q), HOME_Q)


def test_the_arm_stands_while_it_is_held_and_the_controller_goes_on():
    world = World(0)
    now, _ = run(world, 0.1, S)
    goal = HOME_Q + np.array([0.5] + 7 * [0.0])
    move(world, goal, 1.0, now)
    now, begun = run(world, 0.5, now)
    world.faults.set("held", "joint1")
    now, held = run(world, 1.0, now)
    np.testing.assert_allclose(held.desired.q[0], goal[0])
    assert abs(held.q[0] - begun.q[0]) < 0.03 and goal[0] - held.q[0] > 0.2
    world.faults.set("held", "")
    _, free = run(world, 1.0, now)
    np.testing.assert_allclose(free.q[0], goal[0], atol=5e-3)


def test_an_offset_is_measured_and_does_not_move_the_arm():
    world = World(0)
    now, _ = run(world, 0.5, S)
    world.faults.set("offset", "joint5=0.02, gripper=-0.01")
    _, cycle = run(world, 0.5, now)
    away = np.array([0.0] * 4 + [0.02, 0.0, 0.0, -0.01])
    np.testing.assert_allclose(cycle.q, world.scene.joints()[0] + away, atol=1e-12)
    np.testing.assert_allclose(cycle.q, HOME_Q + away, atol=3e-3)
