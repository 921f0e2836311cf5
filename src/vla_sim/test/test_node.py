"""The sim_arm process from outside: streams, the controller, reset, faults, exit codes."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
import rclpy
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from trajectory_msgs.msg import JointTrajectory
from vla_msgs.msg import Instruction, TaskState
from vla_msgs.srv import ResetScene

from vla_common import qos
from vla_sim.convert import trajectory_to_msg
from vla_sim.core.arm import HOME_Q, JOINTS
from vla_sim.core.joint_trajectory import Point, Trajectory
from vla_sim.core.scene import Scene

ROBOT = Path(__file__).resolve().parents[3] / "config" / "robots" / "sim_arm.yaml"
DOMAIN = 40 + os.getpid() % 60
PATIENCE = 60.0  # [s] a loaded machine may be slow; nothing waits longer than it must


def launch(*arguments, **options):
    """Start the node as users do; what it prints goes into its ``stdout``."""
    return subprocess.Popen(
        [sys.executable, "-m", "vla_sim.node", *map(str, arguments)],
        env={
            **os.environ,
            "ROS_DOMAIN_ID": str(DOMAIN),
            "PYTHONUNBUFFERED": "1",
            "FASTRTPS_DEFAULT_PROFILES_FILE": str(ROBOT.parents[1] / "fastdds.xml"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


class Client:
    """Keeps every message of the simulator's topics."""

    def __init__(self):
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=DOMAIN)
        self.node = Node("client", context=self.context)
        self.got = {}
        self.changed = threading.Condition()
        for name, kind, topic, quality in (
            ("states", JointState, "/joint_states", qos.EVENTS),
            ("desired", JointState, "/sim_arm/desired", qos.EVENTS),
            ("task", TaskState, "/sim_arm/task_state", qos.EVENTS),
            ("front", Image, "/camera/front/image_raw", qos.IMAGES),
            ("wrist", Image, "/camera/wrist/image_raw", qos.IMAGES),
        ):
            self.got[name] = []
            self.node.create_subscription(kind, topic, self._keeper(name), quality)
        self.command = self.node.create_publisher(
            JointTrajectory, "/joint_trajectory_controller/joint_trajectory", qos.COMMAND
        )
        self.instruction = self.node.create_publisher(Instruction, "/vla/instruction", qos.LATCHED)
        self.reset = self.node.create_client(ResetScene, "/sim_arm/reset")
        self.parameters = self.node.create_client(SetParameters, "/sim_arm/set_parameters")
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()

    def _keeper(self, name):
        def keep(message):
            with self.changed:
                self.got[name].append(message)
                self.changed.notify_all()

        return keep

    def wait(self, what, condition):
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), f"waited in vain for {what}"

    def next(self, name, condition=lambda message: True):
        """Return the next message from now on that satisfies a condition."""
        begin = len(self.got[name])
        found = []

        def look():
            found[:] = [m for m in self.got[name][begin:] if condition(m)][:1]
            return bool(found)

        self.wait(name, look)
        return found[0]

    def set_fault(self, kind, value):
        parameter = Parameter(name=kind, value=ParameterValue(type=4, string_value=value))
        answer = self.parameters.call(SetParameters.Request(parameters=[parameter]), PATIENCE)
        return answer.results[0]

    def close(self):
        self.executor.shutdown()
        self.thread.join(5)
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One simulator and one client for all tests; at the end Ctrl-C must end it with 0."""
    folder = tmp_path_factory.mktemp("sim")
    process = launch(
        "--robot", ROBOT, "--seed", 21, "--video", folder / "out.mp4", "--record", folder
    )
    client = Client()
    try:
        client.next("states")
        client.next("front")
        assert client.reset.wait_for_service(PATIENCE)
        assert client.parameters.wait_for_service(PATIENCE)
        client.folder = folder
        yield client
    finally:
        client.close()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    with av.open(str(folder / "out.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24").shape for frame in container.decode(video=0)]
    assert len(frames) > 5
    assert set(frames) == {(360, 840, 3)}
    lines = (folder / "arm.csv").read_text().splitlines()
    assert len(lines) > 100
    assert len(lines[-1].split(",")) == 1 + 4 * len(JOINTS)


def stamp_ns(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_streams_have_stamps_sizes_and_names(running):
    state, front = running.next("states"), running.next("front")
    assert tuple(state.name) == JOINTS
    np.testing.assert_allclose(state.position, HOME_Q, atol=0.01)
    assert (front.width, front.height, front.encoding, front.step) == (96, 96, "rgb8", 288)
    assert abs(time.time_ns() - stamp_ns(front)) < 5e9
    for name in ("states", "front"):
        begin = len(running.got[name])
        running.wait(name, lambda name=name, begin=begin: len(running.got[name]) > begin + 20)
        steps = np.diff([stamp_ns(m) for m in running.got[name][begin:]])
        assert min(steps) > 0
        if name == "states":  # on the 100 Hz grid, also where a loaded machine leaves out some
            off_grid = (steps + 5_000_000) % 10_000_000 - 5_000_000
            assert np.percentile(abs(off_grid), 80) < 1_000_000


def test_the_image_is_that_of_the_seed(running):
    scene = Scene(96, seed=21)
    image = np.array(running.next("front").data, dtype=np.uint8).reshape(96, 96, 3)
    expected = scene.render("front").astype(int)
    assert np.abs(image - expected).mean() < 2.0  # sensor noise; the arm sags a little
    scene.close()


def test_a_trajectory_is_followed_and_held(running):
    goal = HOME_Q + np.array([0.4, 0.1, -0.2, 0.2, 0.1, 0.2, -0.3, 0.03])
    points = (Point(800_000_000, goal, np.zeros(8)),)
    running.command.publish(trajectory_to_msg(Trajectory(JOINTS, points)))
    running.next("states", lambda m: np.abs(np.array(m.position) - goal).max() < 5e-3)
    desired = running.next("desired", lambda m: not np.any(m.velocity))
    np.testing.assert_allclose(desired.position, goal, atol=1e-9)
    running.command.publish(JointTrajectory(joint_names=["wrong"]))
    held = running.next("desired", lambda m: stamp_ns(m) > stamp_ns(desired) + 300_000_000)
    np.testing.assert_array_equal(held.position, desired.position)


def test_reset_and_instruction_reach_the_task_state(running):
    running.instruction.publish(Instruction(text="please touch the green block"))
    answer = running.reset.call(ResetScene.Request(seed=77), PATIENCE)
    assert answer.success, answer.message
    task = running.next("task", lambda m: m.seed == 77 and m.target == "green")
    fresh = Scene(16, seed=77)
    fresh.set_joints(np.array(running.next("states").position))
    wanted = [np.linalg.norm(fresh.tcp() - top) for top in fresh.cubes().values()]
    np.testing.assert_allclose(task.distances, wanted, atol=0.01)
    refused = running.reset.call(ResetScene.Request(seed=-4), PATIENCE)
    assert not refused.success
    assert "seed = -4" in refused.message


def test_streams_fall_silent_on_request(running):
    assert "silent = 'ears'" in running.set_fault("silent", "ears").reason
    assert running.set_fault("silent", "front,joint_states").successful
    running.next("wrist")  # whatever was on its way has arrived ...
    running.next("wrist")
    before = {name: len(running.got[name]) for name in ("front", "states")}
    for _ in range(10):  # ... and while these come, those do not
        running.next("wrist")
    assert {name: len(running.got[name]) for name in before} == before
    assert running.set_fault("silent", "").successful
    running.next("front")
    running.next("states")


def test_joints_are_held_and_measured_beside_where_they_are_on_request(running):
    assert "held = 'elbow'" in running.set_fault("held", "elbow").reason
    assert "offset = 'joint5'" in running.set_fault("offset", "joint5").reason
    before = running.next("states").position
    assert running.set_fault("offset", "joint5=0.25").successful
    running.next("states", lambda message: message.position[4] > before[4] + 0.2)
    assert running.set_fault("offset", "").successful
    running.next("states", lambda message: message.position[4] < before[4] + 0.05)
    assert running.set_fault("held", "joint1, gripper").successful
    assert running.set_fault("held", "").successful


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--robot", ROBOT, "--seed", "-3"), "seed = -3"),
        (("--robot", ROBOT, "--video", "/nowhere/v.mp4"), "video = '/nowhere/v.mp4'"),
        (("--robot", ROBOT, "--ros-args", "-p", "cameras.front.encoding:=mono8"), "rgb8, bgr8"),
        (("--robot", ROBOT, "--ros-args", "-p", "cameras.front.hight:=9"), "did you mean 'height'"),
    ],
)
def test_a_users_mistake_ends_with_one_clear_message(arguments, message):
    process = launch(*arguments)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert message in output
    assert "Traceback" not in output


@pytest.fixture
def alone():
    """A simulator of its own, with the process of its cameras; both are gone at the end."""
    process = launch("--robot", ROBOT)
    try:
        cameras = []
        end = time.monotonic() + PATIENCE
        while not cameras and time.monotonic() < end:
            time.sleep(0.05)
            found = psutil.Process(process.pid).children()
            cameras = [child for child in found if child.num_threads() > 8]  # DDS runs
        assert len(cameras) == 1
        yield process, cameras[0]
    finally:
        process.kill()
        process.communicate()
        for camera in cameras:
            camera.wait(PATIENCE)  # whatever became of the simulator


def test_cameras_that_died_end_the_simulator_with_one_clear_message(alone):
    process, cameras = alone
    time.sleep(1.0)
    cameras.kill()
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "the process of the cameras does not answer: exit code -9" in output


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_camera_outlives_the_simulator(alone, number):
    process, cameras = alone
    process.send_signal(number)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == (0 if number != signal.SIGKILL else -number), output
    cameras.wait(PATIENCE)


def test_a_ctrl_c_while_the_cameras_start_is_no_failure():
    """A terminal sends it to all processes of the foreground."""
    process = launch("--robot", ROBOT, start_new_session=True)
    end = time.monotonic() + PATIENCE
    while not psutil.Process(process.pid).children() and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.1)  # it imports
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    assert "Traceback" not in output


def test_the_cameras_alone_use_shared_memory(alone):
    process, cameras = alone
    used = [
        "/dev/shm/fast" in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
        for pid in (process.pid, cameras.pid)
    ]
    assert used == [False, True]
