"""camera_ingest over real ROS topics: sets out, bad images never used, and the reason said."""

import threading
import time

import numpy as np
import pytest
import rclpy
from camera_cases import Noise, image_of, parameters
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from vla_msgs.msg import CameraFrames

from vla_camera.node import CameraIngest
from vla_common.qos import DIAGNOSTICS, IMAGES

DOMAIN = 45
CAMERAS = {"front": {"serial": "F-1"}, "wrist": {"required": False}}


def flat(values, prefix=""):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def wait_for(condition, timeout=10.0):
    end = time.monotonic() + timeout
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    assert condition()


class Bench:
    """The node, a camera driver and an observer, on one executor."""

    def __init__(self, cameras=CAMERAS):
        overrides = [Parameter(k, value=v) for k, v in flat(parameters(cameras))]
        self.sets = []
        self.node = CameraIngest(self.sets.append, parameter_overrides=overrides)
        self.driver = rclpy.create_node("driver")
        self.publishers = {
            name: self.driver.create_publisher(Image, f"/camera/{name}/image_raw", IMAGES)
            for name in cameras
        }
        self.statuses: dict[str, DiagnosticStatus] = {}
        self.driver.create_subscription(DiagnosticArray, "/diagnostics", self._note, DIAGNOSTICS)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(self.driver)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()
        self.noise = Noise()

    def _note(self, message):
        self.statuses.update({status.name: status for status in message.status})

    def up(self):
        self.node.trigger_configure()
        for publisher in self.publishers.values():
            wait_for(lambda p=publisher: p.get_subscription_count() > 0)
        self.node.trigger_activate()

    def send(self, name="front", pixels=None, **fields):
        source = image_of(self.noise() if pixels is None else pixels)
        message = Image(
            height=source.height, width=source.width, encoding="rgb8", step=source.step,
            data=source.data,
        )  # fmt: skip
        message.header.stamp = self.driver.get_clock().now().to_msg()
        for field, value in fields.items():
            setattr(message, field, value)
        self.publishers[name].publish(message)

    def send_until(self, condition, period=0.02, **fields):
        """Send images of both cameras until ``condition``."""
        end = time.monotonic() + 10.0
        while not condition() and time.monotonic() < end:
            self.send("front", **fields)
            self.send("wrist")
            time.sleep(period)
        assert condition()

    def level(self, task):
        status = self.statuses.get(f"camera_ingest: {task}")
        return None if status is None else status.level

    def close(self):
        self.node.trigger_shutdown()
        self.node.diagnostics.stop()
        self.executor.shutdown()
        self.thread.join(5.0)
        self.node.destroy_node()
        self.driver.destroy_node()


@pytest.fixture
def bench():
    rclpy.init(domain_id=DOMAIN)
    made = Bench()
    yield made
    made.close()
    rclpy.try_shutdown()


def test_sets_reach_the_sink_and_the_topic_on_demand(bench):
    bench.up()
    bench.send_until(lambda: len(bench.sets) >= 3)
    frames = bench.sets[-1]
    assert frames.cameras == ("front", "wrist")
    assert frames.images["front"].shape == (32, 32, 3)
    assert 0 <= time.monotonic_ns() - frames.capture_ns < 5_000_000_000
    received = []
    bench.driver.create_subscription(CameraFrames, "/vla/frames", received.append, IMAGES)
    bench.send_until(lambda: received)
    message = received[-1]
    assert list(message.cameras) == ["front", "wrist"]
    match = next(f for f in bench.sets if f.capture_ns == message.trace.capture_ns)
    np.testing.assert_array_equal(
        np.frombuffer(message.images[0].data, np.uint8), match.images["front"].ravel()
    )
    wait_for(lambda: bench.level("front image") == DiagnosticStatus.OK)
    assert bench.statuses["camera_ingest: front topic"].hardware_id == "F-1"


def test_nothing_is_taken_while_inactive(bench):
    bench.up()
    bench.send_until(lambda: bench.sets)
    bench.node.trigger_deactivate()
    count, sentinel = len(bench.sets), []
    bench.driver.create_subscription(Image, "/camera/front/image_raw", sentinel.append, IMAGES)
    end = time.monotonic() + 10.0
    while len(sentinel) < 5 and time.monotonic() < end:
        bench.send()
        bench.send("wrist")
        time.sleep(0.02)
    assert len(sentinel) >= 5
    assert len(bench.sets) == count
    bench.node.trigger_activate()
    bench.send_until(lambda: len(bench.sets) > count)


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"encoding": "bgr8"}, ("bgr8", "rgb8")), ({"data": b"123"}, ("data length", "96 x 32"))],
)
def test_a_camera_that_turns_wrong_is_an_error_and_never_used(bench, fields, words):
    bench.up()
    bench.send_until(lambda: bench.sets)
    bench.send_until(lambda: bench.level("front image") == DiagnosticStatus.ERROR, **fields)
    status = bench.statuses["camera_ingest: front image"]
    assert all(word in status.message for word in words)
    count = len(bench.sets)
    for _ in range(5):
        bench.send("front", **fields)
    bench.send_until(lambda: len(bench.sets) > count)  # the sentinel: good images again
    assert all(frames.images["front"].shape == (32, 32, 3) for frames in bench.sets)


def test_a_wrong_camera_from_the_start_ends_the_node(bench):
    ended = threading.Event()
    bench.node.on_fatal = ended.set
    bench.up()
    bench.send(pixels=bench.noise(64, 48))
    assert ended.wait(10.0)
    for word in ("/camera/front/image_raw", "64x48", "32x32"):
        assert word in str(bench.node.failure)
    assert bench.sets == []


def test_frozen_required_camera_stops_the_sets_with_an_error(bench):
    bench.up()
    bench.send_until(lambda: bench.sets)
    stuck = bench.noise()
    bench.send_until(
        lambda: (
            bench.level("front image") == DiagnosticStatus.ERROR
            and bench.level("Frames") == DiagnosticStatus.ERROR
        ),
        pixels=stuck,
    )
    assert "front: frozen" in bench.statuses["camera_ingest: Frames"].message
    shown = sum(np.array_equal(frames.images["front"], stuck) for frames in bench.sets)
    assert shown <= 4


def test_silence_is_an_error_within_the_second(bench):
    bench.up()
    bench.send_until(lambda: bench.level("front topic") is not None and bench.sets)
    start = time.monotonic()
    wait_for(lambda: bench.level("front topic") == DiagnosticStatus.ERROR)
    assert time.monotonic() - start < 1.5
    wait_for(lambda: bench.level("wrist topic") == DiagnosticStatus.ERROR)
    bench.send_until(lambda: bench.level("front topic") != DiagnosticStatus.ERROR)


def test_an_encoding_that_nothing_decodes_is_refused_at_configure():
    rclpy.init(domain_id=DOMAIN)
    bench = Bench({"front": {"encoding": "uyvy"}})
    try:
        bench.node.trigger_configure()
        try:
            import cv_bridge  # noqa: F401

            assert bench.node.failure is None
        except ImportError:
            assert "cameras.front.encoding" in str(bench.node.failure)
            assert "cv_bridge" in str(bench.node.failure)
    finally:
        bench.close()
        rclpy.try_shutdown()
