"""Messages carry the core's values unchanged."""

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vla_sim.convert import (
    fill_joint_state,
    image_to_msg,
    task_to_msg,
    trajectory_from_msg,
    trajectory_to_msg,
)
from vla_sim.core.joint_trajectory import Point, Trajectory
from vla_sim.core.world import World


def same(a: Trajectory, b: Trajectory) -> bool:
    def values(p: Point):
        arrays = (p.positions, p.velocities, p.accelerations)
        return [p.time_ns, *(None if v is None else v.tolist() for v in arrays)]

    return (a.joint_names, a.start_ns, a.has_effort) == (
        b.joint_names, b.start_ns, b.has_effort,
    ) and [values(p) for p in a.points] == [values(p) for p in b.points]  # fmt: skip


def test_a_trajectory_survives_the_round_trip():
    points = (
        Point(50_000_000, np.array([0.1, 0.2]), np.array([1.0, 2.0]), np.array([0.5, 0.5])),
        Point(2_050_000_001, np.array([0.3, 0.4]), np.zeros(2)),
        Point(3_000_000_000, np.array([0.3, 0.4])),
    )
    for start_ns in (None, 5_000_000_123):
        wanted = Trajectory(("a", "b"), points, start_ns)
        offset = 1_700_000_000_000_000_000
        assert same(trajectory_from_msg(trajectory_to_msg(wanted, offset), offset), wanted)


def test_an_empty_stamp_means_now_and_effort_is_noticed():
    message = JointTrajectory(joint_names=["a"])
    message.points = [JointTrajectoryPoint(positions=[1.0], effort=[2.0])]
    read = trajectory_from_msg(message, 99)
    assert read.start_ns is None
    assert read.has_effort


def test_images_are_copied_row_by_row_in_their_encoding():
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)[::-1]  # not contiguous
    message = image_to_msg(image, Time(sec=4), "front", "rgb8")
    assert (message.height, message.width, message.step, message.header.stamp.sec) == (2, 3, 9, 4)
    np.testing.assert_array_equal(np.array(message.data).reshape(2, 3, 3), image)
    swapped = image_to_msg(image, Time(), "front", "bgr8")
    np.testing.assert_array_equal(np.array(swapped.data).reshape(2, 3, 3), image[..., ::-1])


def test_joint_states_and_task_states():
    message = fill_joint_state(
        JointState(name=["a"]), Time(sec=1), np.array([2.0]), np.array([3.0])
    )
    assert (list(message.position), list(message.velocity)) == ([2.0], [3.0])
    world = World(9)
    world.instruct("reach the blue cube", 1)
    task = task_to_msg(world.task(1_000_000_001), Time(sec=7))
    assert (task.seed, task.target, list(task.cubes)) == (9, "blue", ["red", "green", "blue"])
    assert len(task.distances) == 3
    assert min(task.distances) > 0.1
    assert task.header.stamp.sec == 7
    np.testing.assert_allclose(task.elapsed, 1.0)
