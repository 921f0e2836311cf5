"""The node over real topics: features, joints and words in, /vla/actions at 20 Hz out."""

import threading
import time
from array import array

import numpy as np
import pytest
import rclpy
import yaml
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState
from vla_msgs.msg import ActionChunk, Instruction, SafetyState, VisionFeatures

from vla_common import qos
from vla_common.convert import chunk_from_msg, ns_to_stamp
from vla_inference.node import VlaInference

DOMAIN = 48


class Peer:
    """Plays camera, robot and operator, and listens to the plan."""

    def __init__(self, context):
        self.node = rclpy.create_node("peer", context=context)
        self.features = self.node.create_publisher(VisionFeatures, "/vla/features", qos.PLAN)
        self.joints = self.node.create_publisher(JointState, "/joint_states", qos.PLAN)
        self.words = self.node.create_publisher(Instruction, "/vla/instruction", qos.LATCHED)
        self.safety = self.node.create_publisher(SafetyState, "/vla/safety_state", qos.LATCHED)
        self.actions = []
        self.node.create_subscription(
            ActionChunk, "/vla/actions", lambda m: self.actions.append(chunk_from_msg(m)), qos.PLAN
        )
        self.position = [0.1, 0.2, 0.03]
        self.send_joints = self.send_features = True
        self.running = True
        self.thread = threading.Thread(target=self.play, daemon=True)

    def play(self):
        while self.running:
            if self.send_joints:
                self.joints.publish(
                    JointState(
                        name=["b", "a", "grip"],
                        position=[self.position[1], self.position[0], self.position[2]],
                    )
                )
            if self.send_features:
                now = time.monotonic_ns()
                message = VisionFeatures(
                    cameras=["front"],
                    tokens=1,
                    width=3,
                    features=array("f", [0.0] * 3),
                    model_id="tiny@1.2.3",
                )
                message.header.stamp = ns_to_stamp(time.time_ns())
                message.trace.capture_ns = now
                self.features.publish(message)
            time.sleep(0.02)

    def wait(self, condition, timeout=10.0):
        end = time.monotonic() + timeout
        while not condition() and time.monotonic() < end:
            time.sleep(0.005)
        assert condition()


@pytest.fixture
def graph(bundle_folder, parameters, tmp_path):
    parameters["model"]["bundle"] = str(bundle_folder)
    path = tmp_path / "robot.yaml"
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}))
    context = rclpy.Context()
    rclpy.init(args=["--ros-args", "--params-file", str(path)], context=context, domain_id=DOMAIN)
    node = VlaInference(context=context)
    peer = Peer(context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    executor.add_node(peer.node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    node.trigger_configure()
    node.trigger_activate()
    peer.thread.start()
    yield node, peer
    peer.running = False
    node.trigger_shutdown()
    node.diagnostics.stop()
    executor.shutdown()
    thread.join(5.0)
    context.try_shutdown()


def test_plan_comes_at_20_hz_once_there_are_words(graph):
    node, peer = graph
    peer.wait(lambda: node.waiting_for.startswith("an instruction"))
    assert not peer.actions
    peer.words.publish(Instruction(text="reach the red cube"))
    peer.wait(lambda: len(peer.actions) >= 30)
    starts = np.array([a.start_ns for a in peer.actions])
    assert np.diff(starts).mean() == pytest.approx(50e6, rel=0.02)
    seqs = [a.seq for a in peer.actions]
    assert seqs == sorted(set(seqs))
    plan = peer.actions[-1]
    assert plan.joint_names == ("a", "b", "grip")
    assert plan.horizon == node.robot.control.plan_steps
    assert plan.trace.action_ns >= plan.trace.inference_ns >= plan.trace.capture_ns > 0


def test_missing_joints_or_features_end_the_plan_and_coming_back_restores_it(graph):
    node, peer = graph
    peer.words.publish(Instruction(text="reach"))
    peer.wait(lambda: len(peer.actions) >= 5)
    for flag, words in (("send_joints", "joint states"), ("send_features", "camera")):
        setattr(peer, flag, False)
        peer.wait(lambda words=words: words in node.waiting_for)
        peer.wait(lambda: node.loop.tick(time.monotonic_ns()) is None)
        setattr(peer, flag, True)
        count = len(peer.actions)
        peer.wait(lambda count=count: len(peer.actions) > count + 3)


def test_a_voided_epoch_starts_a_new_plan(graph):
    _, peer = graph
    peer.words.publish(Instruction(text="reach"))
    peer.wait(lambda: len(peer.actions) >= 3)
    wanted = peer.actions[-1].epoch + 10
    peer.safety.publish(SafetyState(min_epoch=wanted))
    peer.wait(lambda: peer.actions[-1].epoch == wanted)


def test_features_of_another_model_are_not_used(graph):
    node, peer = graph
    peer.words.publish(Instruction(text="reach"))
    peer.wait(lambda: len(peer.actions) >= 3)
    peer.send_features = False
    time.sleep(0.1)
    chunks = node.loop.chunks
    message = VisionFeatures(
        cameras=["front"], tokens=1, width=3, features=array("f", [0.0] * 3), model_id="other@1"
    )
    message.trace.capture_ns = time.monotonic_ns()
    peer.features.publish(message)
    peer.wait(lambda: "right size and model" in node.waiting_for or "camera" in node.waiting_for)
    assert node.loop.chunks == chunks


def test_robot_file_is_fixed_while_running(graph):
    node, _ = graph
    from rclpy.parameter import Parameter

    result = node.set_parameters([Parameter("control.rate", value=100.0)])[0]
    assert not result.successful
    assert "fixed while the node runs" in result.reason


def test_configure_fails_with_a_message_on_a_bad_bundle(bundle_folder, parameters, tmp_path):
    (bundle_folder / "policy.onnx").write_bytes(b"junk")
    parameters["model"]["bundle"] = str(bundle_folder)
    path = tmp_path / "robot.yaml"
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}))
    context = rclpy.Context()
    rclpy.init(args=["--ros-args", "--params-file", str(path)], context=context, domain_id=DOMAIN)
    node = VlaInference(context=context)
    assert node.trigger_configure().name == "FAILURE"
    assert "policy.onnx" in str(node.failure)
    node.diagnostics.stop()
    context.try_shutdown()
