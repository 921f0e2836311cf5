"""The robot's side of the benchmark: cameras at a fixed rate, and joint states at 100 Hz.

All cameras capture at the same moment, as those with a common trigger do, and every image differs
from the one before. The capture time is taken right before publishing, on both clocks, and
written to the log: one line ``stamp_ns capture_ns`` a set of images. Images begin a second after
every camera has a subscriber, so that none goes where nobody listens yet.
"""

from __future__ import annotations

import argparse
import signal
import threading
import time
from array import array
from pathlib import Path

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image, JointState

WIDTH, HEIGHT, SCENES = 640, 480, 6
CAMERAS = ("front", "wrist")
JOINTS = [*(f"joint{i}" for i in range(1, 8)), "gripper"]
HOME = [0.0, -0.625, 0.0, -2.25, 0.0, 1.625, 0.75, 0.03125]  # exact in float32: at rest is at rest


def stamp(ns: int) -> Time:
    """Return a ROS stamp."""
    return Time(sec=ns // 1_000_000_000, nanosec=ns % 1_000_000_000)


def paced(stop: threading.Event, rate: float, work) -> None:
    """Call ``work`` at absolute deadlines of the monotonic clock until ``stop`` is set."""
    period_ns = round(1e9 / rate)
    deadline_ns = time.monotonic_ns() + period_ns
    while not stop.wait(max(0.0, (deadline_ns - time.monotonic_ns()) * 1e-9)):
        work()
        deadline_ns += period_ns


class Source(Node):
    """Publishes /camera/<name>/image_raw of each camera, and /joint_states."""

    def __init__(self, cameras: tuple[str, ...]) -> None:
        super().__init__("bench_camera")
        depth = QoSProfile(
            depth=10, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE
        )
        self._images = [
            self.create_publisher(Image, f"/camera/{name}/image_raw", depth) for name in cameras
        ]
        self._joints = self.create_publisher(JointState, "/joint_states", depth)
        random = np.random.default_rng(0)
        self._messages = [[self._image(random, n) for n in cameras] for _ in range(SCENES)]
        self.log: list[tuple[int, int]] = []

    @staticmethod
    def _image(random: np.random.Generator, camera: str) -> Image:
        pixels = random.integers(0, 256, WIDTH * HEIGHT * 3, dtype=np.uint8)
        message = Image(width=WIDTH, height=HEIGHT, encoding="rgb8", step=3 * WIDTH)
        message.header.frame_id = camera
        message.data = array("B", pixels.tobytes())
        return message

    def images(self) -> None:
        """Publish the next set of images, captured now."""
        messages = self._messages[len(self.log) % SCENES]
        capture_ns, stamp_ns = time.monotonic_ns(), time.time_ns()
        for publisher, message in zip(self._images, messages):
            message.header.stamp = stamp(stamp_ns)
            publisher.publish(message)
        self.log.append((stamp_ns, capture_ns))

    def wanted(self) -> bool:
        """Return whether somebody subscribes to the images of every camera."""
        return all(publisher.get_subscription_count() > 0 for publisher in self._images)

    def joints(self) -> None:
        """Publish the posture: the arm stands still at home."""
        message = JointState(name=JOINTS, position=HOME, velocity=[0.0] * len(JOINTS))
        message.header.stamp = stamp(time.time_ns())
        self._joints.publish(message)


def main() -> None:
    """Publish until SIGINT or SIGTERM, then write the log."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=30.0, help="images a second")
    parser.add_argument("--cameras", type=int, default=2, choices=range(1, len(CAMERAS) + 1))
    parser.add_argument("--log", type=Path, required=True)
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    source = Source(CAMERAS[: options.cameras])
    thread = threading.Thread(target=paced, args=(stop, 100.0, source.joints))
    thread.start()
    while not source.wanted() and not stop.wait(0.05):
        pass
    stop.wait(1.0)
    paced(stop, options.rate, source.images)
    thread.join()
    options.log.write_text("".join(f"{a} {b}\n" for a, b in source.log))
    source.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
