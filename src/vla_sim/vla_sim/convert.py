"""Between messages and the values of the simulator's core."""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image, JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from vla_msgs.msg import TaskState

from vla_common.convert import doubles, ns_to_stamp, stamp_to_ns
from vla_sim.core.joint_trajectory import Array, Point, Trajectory
from vla_sim.core.world import TaskView


def _values(field: array) -> Array | None:
    return np.array(field, dtype=np.float64) if len(field) else None


def _point(message: JointTrajectoryPoint) -> Point:
    start = message.time_from_start
    return Point(
        time_ns=start.sec * 1_000_000_000 + start.nanosec,
        positions=np.array(message.positions, dtype=np.float64),
        velocities=_values(message.velocities),
        accelerations=_values(message.accelerations),
    )


def trajectory_from_msg(message: JointTrajectory, ros_minus_mono_ns: int) -> Trajectory:
    """Return a message's content, its start on CLOCK_MONOTONIC."""
    stamp_ns = stamp_to_ns(message.header.stamp)
    return Trajectory(
        joint_names=tuple(message.joint_names),
        points=tuple(_point(point) for point in message.points),
        start_ns=stamp_ns - ros_minus_mono_ns if stamp_ns else None,
        has_effort=any(len(point.effort) for point in message.points),
    )


def trajectory_to_msg(trajectory: Trajectory, ros_minus_mono_ns: int = 0) -> JointTrajectory:
    """Return the message of a trajectory; the inverse of :func:`trajectory_from_msg`."""
    message = JointTrajectory(joint_names=list(trajectory.joint_names))
    if trajectory.start_ns is not None:
        message.header.stamp = ns_to_stamp(trajectory.start_ns + ros_minus_mono_ns)
    for point in trajectory.points:
        row = JointTrajectoryPoint(positions=doubles(point.positions))
        row.time_from_start.sec, row.time_from_start.nanosec = divmod(point.time_ns, 1_000_000_000)
        if point.velocities is not None:
            row.velocities = doubles(point.velocities)
        if point.accelerations is not None:
            row.accelerations = doubles(point.accelerations)
        message.points.append(row)
    return message


def fill_joint_state(message: JointState, stamp: Time, q: Array, dq: Array) -> JointState:
    """Set the stamp, positions and velocities of a message whose names are set."""
    message.header.stamp = stamp
    message.position = doubles(q)
    message.velocity = doubles(dq)
    return message


def image_to_msg(image: npt.NDArray[np.uint8], stamp: Time, frame_id: str, encoding: str) -> Image:
    """Return the message of an RGB image (H, W, 3) in "rgb8" or "bgr8"."""
    message = Image(height=image.shape[0], width=image.shape[1], encoding=encoding)
    message.header.stamp, message.header.frame_id = stamp, frame_id
    message.step = 3 * image.shape[1]
    ordered = image if encoding == "rgb8" else image[..., ::-1]
    # An array of the right type is taken over as it is; a list or bytes is checked item by item.
    message.data = array("B", ordered.tobytes())
    return message


def task_to_msg(task: TaskView, stamp: Time) -> TaskState:
    """Return the message of the task's state."""
    status = task.status
    message = TaskState(
        seed=task.seed,
        target=status.target or "",
        cubes=list(status.distances),
        distances=doubles(np.array(list(status.distances.values()))),
        dwell=status.dwell,
        success=status.success,
        reached=task.reached,
        successes=task.successes,
        elapsed=task.elapsed,
    )
    message.header.stamp = stamp
    return message
