"""feature_cache over real ROS topics, and as the pipeline process uses it."""

import threading
import time
from array import array

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from vla_msgs.msg import CameraFrames, VisionFeatures

from vla_camera.core.sync import Frames
from vla_common.convert import ns_to_stamp
from vla_common.qos import IMAGES, PLAN
from vla_features.core.stage import Features, batch_encoder
from vla_features.messages import features_to_msg, frames_from_msg
from vla_features.node import FeatureCacheNode

DOMAIN = 45
EDGE = 32
PARAMETERS = {
    "autostart": False,
    "robot.name": "bench",
    "robot.joints": ["joint1"],
    "joint_limits.joint1.has_position_limits": True,
    "joint_limits.joint1.min_position": -1.0,
    "joint_limits.joint1.max_position": 1.0,
    "joint_limits.joint1.has_velocity_limits": True,
    "joint_limits.joint1.max_velocity": 1.0,
    "joint_limits.joint1.has_acceleration_limits": True,
    "joint_limits.joint1.max_acceleration": 1.0,
    "cameras.names": ["front", "wrist"],
    "cameras.front.topic": "/camera/front/image_raw",
    "cameras.front.width": EDGE,
    "cameras.front.height": EDGE,
    "cameras.wrist.topic": "/camera/wrist/image_raw",
    "cameras.wrist.width": EDGE,
    "cameras.wrist.height": EDGE,
    "model.bundle": "no_such_bundle",
    "feature_cache.max_age_ms": 5000.0,
    "feature_cache.monitor_every": 3,
    "kinematics.enabled": False,
}


def vision(images, cameras):
    means = images.mean(axis=(1, 2, 3)) + 1000 * cameras
    return np.broadcast_to(means[:, None, None], (len(images), 3, 2)).astype(np.float32)


ENCODE = batch_encoder(vision, ("front", "wrist"))


def message_of(**levels):
    """Return a set of flat images, captured now."""
    now_ns, stamp_ns = time.monotonic_ns(), time.time_ns()
    message = CameraFrames(cameras=list(levels), skew_ms=2.0)
    message.header.stamp = ns_to_stamp(stamp_ns)
    message.trace.capture_ns = now_ns
    for index, level in enumerate(levels.values()):
        pixels = np.full((EDGE, EDGE, 3), level, dtype=np.uint8)
        image = Image(height=EDGE, width=EDGE, encoding="rgb8", step=3 * EDGE)
        image.data = array("B", pixels.tobytes())
        image.header.stamp = ns_to_stamp(stamp_ns + index * 2_000_000)
        message.images.append(image)
    return message


def wait_for(condition, timeout=10.0):
    end = time.monotonic() + timeout
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    assert condition()


@pytest.fixture
def make():
    """Return a maker of nodes that are all closed in the end."""
    rclpy.init(domain_id=DOMAIN)
    nodes = []

    def make_node(alone, encode=ENCODE):
        overrides = [Parameter(k, value=v) for k, v in PARAMETERS.items()]
        node = FeatureCacheNode(alone=alone, parameter_overrides=overrides)
        if encode is not None:
            node.set_encoder(encode, "m@1", ("front", "wrist"))
        nodes.append(node)
        return node

    yield make_node
    for node in nodes:
        node.trigger_shutdown()
        node.diagnostics.stop()
        node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def spin():
    """Return a function that spins nodes on a thread until the test ends."""
    executors = []

    def start(*nodes):
        executor = SingleThreadedExecutor()
        for node in nodes:
            executor.add_node(node)
        thread = threading.Thread(target=executor.spin, daemon=True)
        thread.start()
        executors.append((executor, thread))

    yield start
    for executor, thread in executors:
        executor.shutdown()
        thread.join(5.0)


def test_alone_frames_become_features(make, spin):
    node = make(alone=True)
    other = rclpy.create_node("other")
    received = []
    publisher = other.create_publisher(CameraFrames, "/vla/frames", IMAGES)
    other.create_subscription(VisionFeatures, "/vla/features", received.append, PLAN)
    spin(node, other)
    node.trigger_configure()
    node.trigger_activate()
    wait_for(lambda: publisher.get_subscription_count() > 0)
    wait_for(lambda: node._publisher.get_subscription_count() > 0)

    def exchange(**levels):
        count, end = len(received), time.monotonic() + 10.0
        while len(received) == count and time.monotonic() < end:
            publisher.publish(message_of(**levels))
            time.sleep(0.05)
        return received[-1]

    first = exchange(front=10, wrist=20)
    assert list(first.cameras) == ["front", "wrist"]
    assert (first.tokens, first.width, first.model_id) == (3, 2, "m@1")
    assert list(first.features) == [10.0] * 6 + [1020.0] * 6
    assert first.trace.features_ns > first.trace.capture_ns > 0
    second = exchange(front=10, wrist=90)
    assert list(second.features) == [10.0] * 6 + [1090.0] * 6
    bad = message_of(front=10, wrist=20)
    bad.images[0].step = 7
    publisher.publish(bad)
    assert exchange(front=50, wrist=20).features[0] == 50.0
    assert node.failure is None
    other.destroy_node()


def test_in_the_pipeline_others_call_process(make):
    node = make(alone=False, encode=None)
    node.trigger_configure()
    node.trigger_activate()
    frames = frames_from_msg(message_of(front=10, wrist=20))
    assert node.process(frames) is None
    levels = {s.name: s.level for s in node.diagnostics.collect()}
    assert levels["feature_cache: Cache"] == DiagnosticStatus.ERROR
    node.set_encoder(ENCODE, "m@2", ("wrist", "front"))
    features = node.process(frames)
    assert (features.model_id, features.cameras) == ("m@2", ("wrist", "front"))
    assert node.process(frames).reused == (True, True)
    (status,) = node.diagnostics.collect()
    assert status.level == DiagnosticStatus.OK
    values = {v.key: v.value for v in status.values}
    assert values["Hit ratio"] == "0.500"
    assert {"Entry age p99 (ms)", "Feature error", "Bytes"} <= set(values)


def test_messages_carry_everything():
    message = message_of(front=10, wrist=20)
    frames = frames_from_msg(message)
    assert isinstance(frames, Frames)
    assert frames.captures_ns["front"] == frames.capture_ns == message.trace.capture_ns
    assert frames.captures_ns["wrist"] - frames.capture_ns == 2_000_000
    assert frames.skew_ns == 2_000_000


def test_an_encoder_that_fails_ends_the_node(make, spin):
    ended = threading.Event()

    def broken(images):
        raise RuntimeError("out of memory")

    node = make(alone=True, encode=broken)
    node.on_fatal = ended.set
    node.trigger_configure()
    node.trigger_activate()
    node._box.put(message_of(front=1, wrist=2))
    assert ended.wait(10.0)
    assert "out of memory" in str(node.failure)


def test_alone_without_the_bundle_says_where_it_looked(make):
    node = make(alone=True, encode=None)
    node.trigger_configure()
    assert "no_such_bundle" in str(node.failure)
    assert "model.bundle" in str(node.failure)


def test_features_message_is_row_major():
    frames = frames_from_msg(message_of(front=10, wrist=20))
    features = ENCODE(frames.images)
    value = Features(
        ("front", "wrist"), features, (False, True), (5.0, 33.0), 1, 2, "m@1", frames.trace
    )
    message = features_to_msg(value)
    np.testing.assert_array_equal(
        np.frombuffer(message.features, np.float32).reshape(2, 3, 2), features
    )
    assert list(message.reused) == [False, True]
    assert list(message.age_ms) == [5.0, 33.0]
