"""The parameters that a joint_trajectory_controller has, with what the simulated one does.

They say what it is; all but ``cmd_timeout`` are read-only, as upstream. After the end of a
trajectory the simulated controller holds its last position whatever ``cmd_timeout`` says.
"""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from vla_sim.core.joint_trajectory import Options
from vla_sim.core.scene import Scene

OPTIONS = Options()
VALUES: dict[str, Any] = {
    "joints": list(Scene.JOINTS),
    "command_interfaces": ["position"],
    "state_interfaces": ["position", "velocity"],
    "interpolation_method": "splines",
    "interpolate_from_desired_state": True,
    "allow_partial_joints_goal": OPTIONS.allow_partial_joints_goal,
    "allow_nonzero_velocity_at_trajectory_end": OPTIONS.allow_nonzero_velocity_at_trajectory_end,
    "constraints.goal_time": 0.0,
    "cmd_timeout": 0.5,
}


def declare(node: Node) -> None:
    """Declare them, once; a node that is configured again has them already."""
    for name, value in VALUES.items():
        if not node.has_parameter(name):
            descriptor = ParameterDescriptor(
                description="as of joint_trajectory_controller", read_only=name != "cmd_timeout"
            )
            node.declare_parameter(name, value, descriptor)
