"""The baseline: five small rclpy nodes, five processes, joined by topics, as tutorials show it.

``python chain.py ingest|feature|inference|gate|publisher``. Each node works inside its callback
and publishes at once, with SingleThreadedExecutor and the default QoS (reliable, depth 10);
nothing is slowed down: messages are passed on as they are, arrays take the fast path, and the
policy is a constant. Images of several cameras are taken together by their stamp. The capture
stamp travels in the headers, and through Float32MultiArray, which has none, in
``layout.dim[0].label``.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from array import array
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import rclpy
from builtin_interfaces.msg import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float32MultiArray, MultiArrayDimension
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

QUEUE = 10
CAMERAS = ("front", "wrist")
HORIZON, STEP_DT = 16, 0.05
ROWS, COLUMNS = 64, 96  # that become features: as many as those of bundles/reach


class Ingest(Node):
    """Passes camera images on."""

    def __init__(self, cameras: tuple[str, ...]) -> None:
        super().__init__("naive_ingest")
        for name in cameras:
            out = self.create_publisher(Image, f"/naive/{name}", QUEUE)
            self.create_subscription(Image, f"/camera/{name}/image_raw", out.publish, QUEUE)


class Feature(Node):
    """Turns images into features: as many as a small encoder gives, at no cost."""

    def __init__(self, cameras: tuple[str, ...]) -> None:
        super().__init__("naive_feature")
        self._cameras = cameras
        self._newest: dict[str, Image] = {}
        self._out = self.create_publisher(Float32MultiArray, "/naive/features", QUEUE)
        for name in cameras:
            self.create_subscription(Image, f"/naive/{name}", partial(self._image, name), QUEUE)

    def _image(self, name: str, image: Image) -> None:
        self._newest[name] = image
        stamp = image.header.stamp
        images = [self._newest.get(camera) for camera in self._cameras]
        if any(other is None or other.header.stamp != stamp for other in images):
            return
        values = np.stack([self._features(other) for other in images if other is not None])
        message = Float32MultiArray(data=array("f", values.tobytes()))
        label, size = f"{stamp.sec} {stamp.nanosec}", values.size
        message.layout.dim = [MultiArrayDimension(label=label, size=size, stride=size)]
        self._out.publish(message)

    @staticmethod
    def _features(image: Image) -> np.ndarray:
        pixels = np.frombuffer(image.data, dtype=np.uint8).reshape(image.height, image.width, 3)
        return pixels[:ROWS, :COLUMNS].astype(np.float32)


class Inference(Node):
    """Answers features with a trajectory that keeps the measured posture."""

    def __init__(self, cameras: tuple[str, ...]) -> None:
        super().__init__("naive_inference")
        self._joints: JointState | None = None
        self._out = self.create_publisher(JointTrajectory, "/naive/actions", QUEUE)
        self.create_subscription(JointState, "/joint_states", self._joint_state, QUEUE)
        self.create_subscription(Float32MultiArray, "/naive/features", self._features, QUEUE)

    def _joint_state(self, message: JointState) -> None:
        self._joints = message

    def _features(self, features: Float32MultiArray) -> None:
        if self._joints is None:
            return
        message = JointTrajectory(joint_names=self._joints.name)
        seconds, nanoseconds = features.layout.dim[0].label.split()
        message.header.stamp.sec, message.header.stamp.nanosec = int(seconds), int(nanoseconds)
        for row in range(1, HORIZON + 1):
            seconds, nanoseconds = divmod(round(row * STEP_DT * 1e9), 1_000_000_000)
            due = Duration(sec=seconds, nanosec=nanoseconds)
            message.points.append(
                JointTrajectoryPoint(positions=self._joints.position, time_from_start=due)
            )
        self._out.publish(message)


class Gate(Node):
    """Clamps positions."""

    def __init__(self, cameras: tuple[str, ...]) -> None:
        super().__init__("naive_gate")
        self._out = self.create_publisher(JointTrajectory, "/naive/safe_actions", QUEUE)
        self.create_subscription(JointTrajectory, "/naive/actions", self._actions, QUEUE)

    def _actions(self, message: JointTrajectory) -> None:
        for point in message.points:
            point.positions = array("d", np.clip(point.positions, -3.2, 3.2).tobytes())
        self._out.publish(message)


class Publisher(Node):
    """Sends the command and notes ``stamp_ns command_ns``."""

    def __init__(self, cameras: tuple[str, ...]) -> None:
        super().__init__("naive_publisher")
        topic = "/joint_trajectory_controller/joint_trajectory"
        self.log: list[str] = []
        self._out = self.create_publisher(JointTrajectory, topic, QUEUE)
        self.create_subscription(JointTrajectory, "/naive/safe_actions", self._actions, QUEUE)

    def _actions(self, message: JointTrajectory) -> None:
        self._out.publish(message)
        command_ns = time.monotonic_ns()
        stamp = message.header.stamp
        self.log.append(f"{stamp.sec * 1_000_000_000 + stamp.nanosec} {command_ns}\n")


NODES: dict[str, Callable[[tuple[str, ...]], Node]] = {
    "ingest": Ingest,
    "feature": Feature,
    "inference": Inference,
    "gate": Gate,
    "publisher": Publisher,
}


def main() -> int:
    """Spin one of the nodes until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("role", choices=tuple(NODES))
    parser.add_argument("--cameras", type=int, default=2, choices=range(1, len(CAMERAS) + 1))
    parser.add_argument("--log", type=Path, help="where publisher writes its times")
    options = parser.parse_args()
    rclpy.init(signal_handler_options=SignalHandlerOptions.ALL)
    node = NODES[options.role](CAMERAS[: options.cameras])
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if isinstance(node, Publisher) and options.log:
        options.log.write_text("".join(node.log))
    return 0


if __name__ == "__main__":
    sys.exit(main())
