"""The gate reads the URDF itself: limits that its parameters leave out, and no start without it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from safety_world import make_robot
from test_gate_node import flat

from vla_safety.node import SafetyGate

URDF = """
<robot name="r">
  <link name="base_link"/><link name="arm"/><link name="tcp"/>
  <joint name="j0" type="revolute">
    <parent link="base_link"/><child link="arm"/>
    <limit lower="-1" upper="1.5" velocity="0.7" effort="10"/>
  </joint>
  <joint name="j1" type="continuous">
    <parent link="arm"/><child link="tcp"/>
    <limit velocity="0.9" effort="10"/>
  </joint>
</robot>
"""


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    found = make_robot(2).parameters
    (tmp_path / "arm.urdf").write_text(URDF)
    found["robot"]["urdf"] = str(tmp_path / "arm.urdf")
    found["robot"]["home"] = [0.0, 0.0]
    del found["kinematics"]
    least = {"has_acceleration_limits": True, "max_acceleration": 6.0}
    found["joint_limits"] = {name: dict(least) for name in ("j0", "j1")}
    return found


@pytest.fixture(autouse=True)
def ros() -> Iterator[None]:
    os.environ["ROS_DOMAIN_ID"] = "43"
    rclpy.init()
    yield
    rclpy.try_shutdown()


def configured(values: dict[str, Any]) -> tuple[bool, SafetyGate]:
    overrides = [*flat(values), Parameter("autostart", value=False)]
    node = SafetyGate(parameter_overrides=overrides)
    good = node.trigger_configure() is TransitionCallbackReturn.SUCCESS
    node.trigger_shutdown()
    node.diagnostics.stop()
    node.destroy_node()
    return good, node


def test_the_gate_takes_its_limits_from_the_urdf(values: dict[str, Any]) -> None:
    good, node = configured(values)
    assert good
    limits = node.gate.limits
    assert (limits.q_min[0], limits.q_max[0]) == (-1.0, 1.5)
    assert limits.v_max.tolist() == [0.7, 0.9]
    assert limits.continuous.tolist() == [False, True]


def test_a_gate_without_its_urdf_does_not_start(values: dict[str, Any]) -> None:
    Path(values["robot"]["urdf"]).unlink()
    good, node = configured(values)
    assert not good
    assert node.gate is None
    assert "robot.urdf" in str(node.failure)


def test_parameters_laxer_than_the_urdf_do_not_start_the_gate(values: dict[str, Any]) -> None:
    values["joint_limits"]["j0"].update(has_velocity_limits=True, max_velocity=0.8)
    good, node = configured(values)
    assert not good
    assert "joint_limits.j0.max_velocity = 0.8" in str(node.failure)
    assert "<= 0.7" in str(node.failure)
