"""camera_ingest tells the gate of its cameras, as long as it is active."""

import time

import numpy as np
import pytest
import rclpy
from test_camera_node import Bench, wait_for
from vla_msgs.msg import CameraHealth

from vla_common.qos import HEARTBEAT

DOMAIN = 46


@pytest.fixture
def bench():
    rclpy.init(domain_id=DOMAIN)
    made = Bench()
    made.health = []
    made.driver.create_subscription(
        CameraHealth, "/vla/camera_health", made.health.append, HEARTBEAT
    )
    yield made
    made.close()
    rclpy.try_shutdown()


def live(bench):
    """Return whether the newest report says that the front camera is well."""
    return bool(bench.health) and bench.health[-1].faults[0] == "" and bench.health[-1].dark[0] == 0


def test_live_then_frozen_then_dark_then_silent(bench):
    bench.up()
    bench.send_until(lambda: live(bench))
    newest = bench.health[-1]
    assert list(newest.cameras) == ["front", "wrist"]
    assert 0 < newest.sent_ns <= time.monotonic_ns()
    assert newest.header.stamp.sec > 0

    still = bench.noise()
    bench.send_until(lambda: bench.health[-1].faults[0] == "frozen", pixels=still)
    assert bench.health[-1].repeated[0] >= 5
    bench.send_until(lambda: live(bench))

    numbers = np.random.default_rng(3)
    end = time.monotonic() + 10.0
    while bench.health[-1].faults[0] != "dark" and time.monotonic() < end:
        bench.send("front", numbers.integers(0, 3, (32, 32, 3), dtype=np.uint8))
        time.sleep(0.02)
    assert bench.health[-1].dark[0] >= 10
    bench.send_until(lambda: live(bench))

    wait_for(lambda: bench.health[-1].age_ms[0] > 150.0)
    assert "no usable image" in bench.health[-1].faults[0]


def test_it_beats_at_20_hz_without_images_and_is_silent_when_inactive(bench):
    bench.up()
    wait_for(lambda: len(bench.health) > 1)
    times = [m.sent_ns for m in bench.health]
    start = len(times)
    time.sleep(1.0)
    times = np.array([m.sent_ns for m in bench.health[start - 1 :]])
    assert 15 <= len(times) <= 24
    assert (np.diff(times) > 0).all()
    bench.node.trigger_deactivate()
    time.sleep(0.1)
    said = len(bench.health)
    time.sleep(0.3)
    assert len(bench.health) == said
    bench.node.trigger_activate()
    wait_for(lambda: len(bench.health) > said)
