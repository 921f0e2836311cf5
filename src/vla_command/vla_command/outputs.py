"""The messages that move an arm, one class for each kind of controller."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from builtin_interfaces.msg import Duration
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, MultiArrayDimension
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vla_command.core.trajectory import Sample, Trajectory
from vla_common.convert import doubles, ns_to_stamp


class Output(Protocol):
    """Turns what the core sends into a message of type ``message``."""

    message: type
    streamed: bool

    def build(self, item: Any, stamp_ns: int) -> Any:
        """Return the message; ``stamp_ns`` is the ROS time the item counts from."""


def _duration(ns: int) -> Duration:
    seconds, nanoseconds = divmod(ns, 1_000_000_000)
    return Duration(sec=seconds, nanosec=nanoseconds)


class TrajectoryOutput:
    """For joint_trajectory_controller: the rows to come, ending at rest.

    With ``stamped`` the trajectory says at which ROS time it starts, so that the time on the way
    to the controller does not shift the motion; without, it starts on arrival.
    """

    message = JointTrajectory
    streamed = False

    def __init__(self, joints: tuple[str, ...], stamped: bool) -> None:
        self._joints = list(joints)
        self._stamped = stamped

    def build(self, item: Trajectory, stamp_ns: int) -> JointTrajectory:
        """Return the message of a trajectory."""
        message = JointTrajectory(joint_names=self._joints)
        if self._stamped:
            message.header.stamp = ns_to_stamp(stamp_ns)
        message.points = [
            JointTrajectoryPoint(
                positions=doubles(q), velocities=doubles(v), time_from_start=_duration(int(t))
            )
            for t, q, v in zip(item.from_start_ns, item.positions, item.velocities)
        ]
        return message


class ForwardOutput:
    """For forward_command_controller on the position interface: one value a joint."""

    message = Float64MultiArray
    streamed = True

    def __init__(self, joints: tuple[str, ...]) -> None:
        self._layout = [MultiArrayDimension(label="joints", size=len(joints), stride=len(joints))]

    def build(self, item: Sample, stamp_ns: int) -> Float64MultiArray:
        """Return the message of a sample; it carries no time."""
        message = Float64MultiArray()
        message.layout.dim = self._layout
        message.data = doubles(item.position)
        return message


class JointStateOutput:
    """For drivers that take the desired state as sensor_msgs/JointState."""

    message = JointState
    streamed = True

    def __init__(self, joints: tuple[str, ...]) -> None:
        self._joints = list(joints)

    def build(self, item: Sample, stamp_ns: int) -> JointState:
        """Return the message of a sample."""
        message = JointState(name=self._joints)
        message.header.stamp = ns_to_stamp(stamp_ns)
        message.position = doubles(np.asarray(item.position))
        message.velocity = doubles(np.asarray(item.velocity))
        return message


def make_output(kind: str, joints: tuple[str, ...], stamped: bool) -> Output:
    """Return the output for ``controller.type``."""
    if kind == "joint_trajectory":
        return TrajectoryOutput(joints, stamped)
    return ForwardOutput(joints) if kind == "forward_command" else JointStateOutput(joints)
