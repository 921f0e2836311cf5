"""system_monitor on real topics, beside a node that lives and dies."""

import os
import threading
import time

os.environ["ROS_DOMAIN_ID"] = "45"

from pathlib import Path

import numpy as np
import pytest
import rclpy
import yaml
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from vla_msgs.msg import SystemHealth

from vla_common import qos
from vla_common.diagnostics import ERROR, OK, WARN
from vla_common.node import SUCCESS, VlaNode
from vla_monitor.core.gpu import GpuReading, NoGpuError, Zone
from vla_monitor.node import SystemMonitor

ROBOT = {
    "robot.name": "arm", "robot.joints": ["j1"], "model.bundle": "reach",
    "joint_limits.j1.has_position_limits": True, "joint_limits.j1.min_position": -1.0,
    "joint_limits.j1.max_position": 1.0, "joint_limits.j1.has_velocity_limits": True,
    "joint_limits.j1.max_velocity": 1.0, "joint_limits.j1.has_acceleration_limits": True,
    "joint_limits.j1.max_acceleration": 1.0, "cameras.names": ["front"],
    "cameras.front.topic": "/c", "cameras.front.width": 96, "cameras.front.height": 96,
    "kinematics.enabled": False,
}  # fmt: skip


class FakeProbe:
    def __init__(self):
        self.throttle, self.error = (), None

    def read(self):
        if self.error:
            raise self.error
        return [GpuReading("Fake GPU", load=0.5, zones=(Zone("GPU", 50.0, 90.0),),
                           throttle=self.throttle)]  # fmt: skip

    def close(self):
        pass


class World:
    def __init__(self, probe):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        parameters = [Parameter(k, value=v) for k, v in ROBOT.items()]
        own = [Parameter("nodes", value=["safety_gate"])]
        self.executor = SingleThreadedExecutor(context=self.context)
        self.unit = SystemMonitor(probe, context=self.context, parameter_overrides=parameters + own)
        self.other = VlaNode("safety_gate", context=self.context, parameter_overrides=parameters)
        self.other.diagnostics.add("State", lambda stat: stat.summary(OK, "fine"))
        self.health = []
        self.other.create_subscription(
            SystemHealth, "/vla/system_health", self.health.append, qos.HEARTBEAT
        )
        for node in (self.unit, self.other):
            self.executor.add_node(node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()
        for node in (self.other, self.unit):
            assert node.trigger_configure() is SUCCESS
            assert node.trigger_activate() is SUCCESS

    def status(self, task):
        found = {s.name: s for s in self.unit.diagnostics.collect()}
        return found[f"system_monitor: {task}"]

    def until(self, task, condition, timeout=15.0):
        end = time.monotonic() + timeout
        while not condition(self.status(task)):
            assert time.monotonic() < end, self.status(task)
            time.sleep(0.05)
        return self.status(task)

    def hears(self, throttled, timeout=15.0):
        """Wait for the next health message that says so; return how long it took [s]."""
        start, before = time.monotonic(), len(self.health)
        while not any(list(m.throttled) == throttled for m in self.health[before:]):
            assert time.monotonic() - start < timeout, self.health[before:]
            time.sleep(0.01)
        return time.monotonic() - start

    def close(self):
        for node in (self.unit, self.other):
            node.trigger_shutdown()
            node.diagnostics.stop()
        self.executor.shutdown()
        self.thread.join(5.0)
        for node in (self.unit, self.other):
            node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def make_world():
    worlds = []

    def make(probe):
        worlds.append(World(probe))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


def values(status):
    return {v.key: v.value for v in status.values}


def test_gpu_computer_clock_and_nodes_are_told(make_world):
    probe = FakeProbe()
    world = make_world(lambda: probe)
    nodes = world.until("Nodes", lambda s: values(s).get("safety_gate state") == "active")
    assert nodes.level == OK
    assert float(values(nodes)["safety_gate heartbeat age (s)"]) < 3.0
    assert values(nodes)["safety_gate restarts"] == "0"
    gpu = world.status("GPU")
    assert gpu.level == OK and values(gpu)["GPU (C)"] == "50.0"
    assert values(gpu)["Power (W)"] == "unknown"
    assert float(values(world.status("CPU and memory"))["Free (MB)"]) > 0.0
    assert world.status("Clock").level == OK
    probe.throttle = ("thermal",)
    assert "throttled" in world.until("GPU", lambda s: s.level == ERROR).message
    probe.error = RuntimeError("the driver was unloaded")
    assert "unloaded" in world.until("GPU", lambda s: s.level == WARN).message
    world.other.diagnostics.stop()
    assert "safety_gate" in world.until("Nodes", lambda s: s.level == ERROR).message


def test_no_gpu_is_a_warning_that_says_what_was_looked_for(make_world):
    def absent():
        raise NoGpuError("no GPU found: NVML: no driver")

    world = make_world(absent)
    world.until("Clock", lambda s: s.level == OK)
    status = world.status("GPU")
    assert status.level == WARN and status.message == "no GPU found: NVML: no driver"


def test_why_clocks_are_lowered_is_published_every_second(make_world):
    probe = FakeProbe()
    world = make_world(lambda: probe)
    world.hears([])
    probe.throttle = ("thermal, by hardware", "power brake")
    assert world.hears(["thermal, by hardware", "power brake"]) < 1.5
    probe.error = RuntimeError("the driver was unloaded")  # not known to be throttled
    assert world.hears([]) < 1.5
    world.hears([])
    sent = [message.sent_ns for message in world.health]
    assert sent == sorted(set(sent)) and 0 < sent[-1] <= time.monotonic_ns()
    assert all(0.5e9 < step < 1.5e9 for step in np.diff(sent))
    assert abs(world.health[-1].header.stamp.sec - time.time()) < 5.0


def test_without_a_gpu_nothing_is_throttled(make_world):
    def absent():
        raise NoGpuError("no GPU found")

    world = make_world(absent)
    world.hears([])
    assert not any(message.throttled for message in world.health)


def test_every_node_has_its_group_in_the_aggregator_file():
    root = Path(__file__).resolve().parents[3]
    document = yaml.safe_load((root / "config/diagnostics.yaml").read_text())
    groups = document["analyzers"]["ros__parameters"]
    found = {
        prefix.rstrip(": ")
        for group in groups.values() if isinstance(group, dict)
        for prefix in group["find_and_remove_prefix"]
    }  # fmt: skip
    assert found == {
        "camera_ingest", "feature_cache", "vla_inference", "safety_gate",
        "joint_command_publisher", "system_monitor",
    }  # fmt: skip
