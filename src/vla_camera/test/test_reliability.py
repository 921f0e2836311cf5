"""A subscription that takes after the camera driver, with real drivers of both kinds."""

from __future__ import annotations

import time

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from vla_camera.reliability import ImageSubscription

TOPIC = "/camera/front/image_raw"
RELIABLE = QoSProfile(depth=5)
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


class Setting:
    """A subscription, and drivers that come and go."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("ingest")
        self.images: list[Image] = []
        self.subscription = ImageSubscription(self.node, TOPIC, self.images.append)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.drivers: list[tuple] = []

    def driver(self, qos: QoSProfile) -> None:
        node = rclpy.create_node(f"driver{len(self.drivers)}")
        self.drivers.append((node, node.create_publisher(Image, TOPIC, qos)))

    def remove(self) -> None:
        self.drivers.pop()[0].destroy_node()

    def until(self, condition, timeout: float = 10.0) -> bool:
        """Spin, with an image from every driver and a look at them, until the condition holds."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self.subscription.adapt()
            for _, publisher in self.drivers:
                publisher.publish(Image())
            self.executor.spin_once(timeout_sec=0.01)
            if condition():
                return True
        return False


@pytest.fixture
def setting():
    rclpy.init(domain_id=46)
    made = Setting()
    yield made
    made.subscription.destroy()
    rclpy.shutdown()


def test_as_reliable_as_the_driver_and_images_come_either_way(setting):
    assert not setting.subscription.reliable
    for qos, reliable in ((RELIABLE, True), (BEST_EFFORT, False), (RELIABLE, True)):
        setting.driver(qos)
        assert setting.until(lambda r=reliable: setting.subscription.reliable is r)
        del setting.images[:]
        assert setting.until(lambda: len(setting.images) > 3)
        setting.remove()


def test_one_driver_of_less_reliability_decides(setting):
    setting.driver(RELIABLE)
    assert setting.until(lambda: setting.subscription.reliable)
    setting.driver(BEST_EFFORT)
    assert setting.until(lambda: not setting.subscription.reliable)


def test_without_drivers_it_stays_as_it_is(setting):
    setting.driver(RELIABLE)
    assert setting.until(lambda: setting.subscription.reliable)
    setting.remove()
    setting.until(lambda: False, timeout=1.0)
    assert setting.subscription.reliable
