"""The node with kinematic checks: it does not start without Pinocchio, and says what is near."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
import rclpy
from rclpy.parameter import Parameter
from safety_world import World
from space_world import HOME, clearance_of, make_arm
from test_clearance_gate import INTO, drive
from test_gate_node import flat

from vla_common.diagnostics import ERROR, OK, WARN
from vla_safety.clearance_report import ClearanceReport
from vla_safety.node import SafetyGate


@pytest.fixture
def make_gate():
    os.environ["ROS_DOMAIN_ID"] = "43"
    rclpy.init()
    made = []

    def make(**changes):
        values = make_arm().parameters
        for section, keys in changes.items():
            values[section] |= keys
        parameters = [*flat(values), Parameter("autostart", value=False)]
        made.append(SafetyGate(parameter_overrides=parameters))
        return made[-1]

    yield make
    for node in made:
        node.trigger_shutdown()
        node.diagnostics.stop()
        node.destroy_node()
    rclpy.try_shutdown()


def label(node):
    return node._state_machine.current_state[1]


def test_the_gate_loads_the_arm_of_its_robot_file(make_gate):
    gate = make_gate()
    gate.trigger_configure()
    assert label(gate) == "inactive", gate.failure
    assert gate.gate.motion.clearance.pairs


def test_without_pinocchio_the_node_does_not_configure(make_gate, monkeypatch):
    monkeypatch.setitem(sys.modules, "pinocchio", None)
    gate = make_gate()
    gate.trigger_configure()
    assert label(gate) == "unconfigured"
    assert "kinematics.enabled: false" in str(gate.failure)
    with pytest.raises(RuntimeError):  # rcl knows no such transition
        gate.trigger_activate()


def test_switched_off_by_name_it_runs_and_warns(make_gate, monkeypatch):
    monkeypatch.setitem(sys.modules, "pinocchio", None)
    gate = make_gate(kinematics={"enabled": False})
    gate.trigger_configure()
    assert label(gate) == "inactive", gate.failure
    stat = Stat()
    ClearanceReport(gate.gate).collision(stat)
    assert stat.level == WARN
    assert "kinematics.enabled is false" in stat.message


def test_a_urdf_of_a_package_that_is_not_there(make_gate):
    gate = make_gate(robot={"urdf": "package://no_such_package/a.urdf"})
    gate.trigger_configure()
    assert label(gate) == "unconfigured"
    assert "robot.urdf" in str(gate.failure)


# --- diagnostics ---------------------------------------------------------------------------------
class Stat:
    def __init__(self):
        self.values = {}

    def summary(self, level, message):
        self.level, self.message = level, message

    def add(self, key, value):
        self.values[key] = value


@pytest.fixture
def near_table(monkeypatch):
    """Return a gate that holds because of the table, and what its report says when asked."""
    robot = make_arm(workspace=None)
    world = World(robot, np.array(HOME), clearance_of(robot)).enabled()
    monkeypatch.setattr("time.monotonic_ns", lambda: world.now)
    report = ClearanceReport(world.gate)

    def tell():
        stat = Stat()
        report.collision(stat)
        return stat

    return world, tell


def test_the_report_tells_clear_near_and_holding_apart(near_table):
    world, tell = near_table
    stat = tell()
    assert (stat.level, stat.message) == (OK, "clear")
    drive(world, INTO["table"][0], 200)
    world.run(300)
    stat = tell()
    assert stat.level == ERROR
    assert "fore:table" in stat.message
    assert stat.values["Pair"] == "fore:table"
    assert 0.02 <= float(stat.values["Min distance (m)"]) < 0.03
    assert stat.values["Box margin (m)"] == ""
    assert float(stat.values["Check p99 (ms)"]) > 0.0
    for _ in range(2):  # plans that stand still lead nowhere: the hold ends, the table is near
        for _ in range(6):
            world.chunk(np.tile(world.gate.motion.command(world.now)[0], (8, 1)))
            world.tick(20), world.tick(20), world.tick(10)
    stat = tell()
    assert stat.level == WARN, stat.message
    assert stat.message.startswith("near: fore:table")
    for _ in range(200):  # and away from it
        q = world.gate.motion.command(world.now)[0]
        way = np.clip(np.array(HOME) - q, -0.01, 0.01)
        world.chunk(q + way * np.arange(1, 9)[:, None])
        world.tick(20), world.tick(20), world.tick(10)
    stat = tell()
    assert (stat.level, stat.message) == (OK, "clear")


def test_the_report_names_a_pose_that_is_too_near(monkeypatch):
    robot = make_arm(workspace=None)
    pose = [0.0, np.arcsin(0.35 / 0.4), -np.arcsin(0.35 / 0.4)]
    world = World(robot, np.array(pose), clearance_of(robot)).enabled()
    monkeypatch.setattr("time.monotonic_ns", lambda: world.now)
    stat = Stat()
    ClearanceReport(world.gate).collision(stat)
    assert stat.level == ERROR
    assert stat.message == "too near: fore:table: 0.010 m"


def test_the_report_tells_of_checks_that_take_too_long(near_table):
    world, tell = near_table
    for _ in range(100):
        world.gate.motion.clearance.check_ms.add(12.0)
    stat = tell()
    assert stat.level == ERROR
    assert "checks take 12.0 ms" in stat.message
