"""The node on real topics: plans pass within limits, e-stop latches, reset then enable."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from safety_world import make_robot
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from vla_msgs.msg import (
    ActionChunk,
    CameraHealth,
    CommandState,
    EmergencyStop,
    GateLease,
    SafeAction,
    SafetyState,
)

from vla_common import qos
from vla_common.convert import chunk_to_msg
from vla_common.core.chunk import Chunk
from vla_common.core.trace import Trace
from vla_common.diagnostics import ERROR
from vla_safety.core.reasons import INPUT, Reason
from vla_safety.node import SafetyGate

MS = 1_000_000
ENABLED = (SafetyState.ACTIVE, SafetyState.SLOW, SafetyState.HOLD, SafetyState.STOPPING)


def flat(values: dict, prefix: str = "") -> list[Parameter]:
    found: list[Parameter] = []
    for key, value in values.items():
        if isinstance(value, dict):
            found += flat(value, f"{prefix}{key}.")
        elif not (isinstance(value, list) and not value):
            found.append(Parameter(prefix + key, value=value))
    return found


class Peer:
    """Everything around the gate: plan, joint states, e-stop, publisher."""

    def __init__(self, **safety) -> None:
        patient = {
            "publisher_ms": 2000.0,
            "joint_state_ms": 500.0,
            "camera_age_ms": 1000.0,
            "no_chunk_ms": 1500.0,
            "max_action_age_ms": 1000.0,
            "max_capture_age_ms": 3000.0,
        }
        self.robot = make_robot(3, **{**patient, **safety})
        parameters = [*flat(self.robot.parameters), Parameter("autostart", value=False)]
        self.gate = SafetyGate(parameter_overrides=parameters)
        self.node = rclpy.create_node("peer")
        make = self.node.create_publisher
        self.plans = make(ActionChunk, "/vla/actions", qos.PLAN)
        self.joints = make(JointState, "/joint_states", qos.JOINT_STATES)
        self.commands = make(CommandState, "/vla/command_state", qos.HEARTBEAT)
        self.estop = make(EmergencyStop, "/vla/estop", qos.HEARTBEAT)
        self.cameras = make(CameraHealth, "/vla/camera_health", qos.HEARTBEAT)
        self.health = {"age_ms": [20.0], "repeated": [1], "dark": [0], "faults": [""]}
        self.cameras_talk = True
        self.actions: list[SafeAction] = []
        self.leases: list[GateLease] = []
        self.states: list[SafetyState] = []
        self.changes: list[SafetyState] = []
        listen = self.node.create_subscription
        listen(SafeAction, "/vla/safe_actions", self.actions.append, qos.EVENTS)
        listen(GateLease, "/vla/lease", self.leases.append, qos.EVENTS)
        listen(SafetyState, "/vla/safety_state", self.states.append, qos.LATCHED)
        listen(SafetyState, "/vla/safety_transitions", self.changes.append, qos.TRANSITIONS)
        self.services = {
            name: self.node.create_client(Trigger, f"/safety_gate/{name}")
            for name in ("reset", "enable", "stop", "estop")
        }
        self.q = np.zeros(3)
        self.talk = True
        self.publisher = True
        self.seq = 0
        self.gate.trigger_configure()
        self.gate.trigger_activate()
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.gate)
        self.executor.add_node(self.node)
        self._next_beat = 0.0

    def spin(self, condition, timeout: float = 8.0) -> bool:
        """Spin, with what must be heard 50 times a second, until the condition holds."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if time.monotonic() >= self._next_beat:
                self._next_beat = time.monotonic() + 0.02
                self.beat()
            self.executor.spin_once(timeout_sec=0.005)
            if condition():
                return True
        return False

    def beat(self) -> None:
        """Send joint state, cameras' health and publisher's state, of what may talk."""
        if self.talk:
            self.joints.publish(JointState(name=list(self.robot.joints), position=self.q.tolist()))
        if self.cameras_talk:
            names = list(self.robot.camera_names)
            self.cameras.publish(
                CameraHealth(sent_ns=time.monotonic_ns(), cameras=names, **self.health)
            )
        if self.publisher:
            following = bool(self.leases) and self.leases[-1].state in ENABLED
            mode = CommandState.FOLLOWING if following else CommandState.ARMED
            seq = self.actions[-1].seq if self.actions else 0
            self.commands.publish(CommandState(mode=mode, seq=seq))

    def plan(self, rows, **changes) -> None:
        self.seq += 1
        now = time.monotonic_ns()
        epoch = max(1, self.states[-1].min_epoch if self.states else 0)
        message = chunk_to_msg(
            Chunk(
                epoch, self.seq, self.robot.joints, 0.05, now + 50 * MS, np.array(rows),
                now - 50 * MS, self.node.get_clock().now().nanoseconds - 50 * MS,
                trace=Trace(capture_ns=now - 50 * MS, action_ns=now),
            )
        )  # fmt: skip
        for key, value in changes.items():
            setattr(message, key, value)
        self.plans.publish(message)

    def call(self, name: str) -> Trigger.Response:
        future = self.services[name].call_async(Trigger.Request())
        assert self.spin(future.done), f"{name} did not answer"
        return future.result()

    def state(self) -> int | None:
        return self.states[-1].state if self.states else None

    def enable(self) -> None:
        """Enable as soon as the gate knows where the arm is."""
        assert self.spin(lambda: any(a.state == SafetyState.INACTIVE for a in self.actions))
        assert self.spin(lambda: self.call("enable").success)

    def close(self) -> None:
        self.executor.shutdown()
        self.gate.trigger_shutdown()
        self.gate.diagnostics.stop()
        self.gate.destroy_node()
        self.node.destroy_node()


@pytest.fixture
def peer(request):
    os.environ["ROS_DOMAIN_ID"] = "43"
    rclpy.init()
    found = Peer(**getattr(request, "param", {}))
    yield found
    found.close()
    rclpy.try_shutdown()


def test_a_plan_becomes_a_path_that_ends_at_rest(peer):
    peer.enable()
    for _ in range(4):
        before = len(peer.actions)
        peer.plan(np.full((8, 3), 0.05))
        assert peer.spin(lambda: any(a.trace.gate_ns for a in peer.actions[before:]), 2.0)  # noqa: B023
    action = [a for a in peer.actions if a.trace.gate_ns][-1]
    rows = np.array(action.velocities).reshape(action.horizon, 3)
    assert rows[0].any() or rows[1].any()
    assert not rows[-1].any()
    assert action.joint_names == list(peer.robot.joints)
    assert action.trace.gate_received_ns <= action.trace.gate_ns
    assert action.valid_until_ns > action.trace.gate_ns
    assert peer.leases


BROKEN = {
    Reason.NON_FINITE: {"positions": [float("nan")] * 24},
    Reason.ORDER: {"joint_names": ["j1", "j0", "j2"]},
    Reason.STALE: {"start_ns": 1},
    Reason.SHAPE: {"horizon": 9},
    Reason.NAMES: {"joint_names": ["j0", "j1", "x"]},
}


def test_nan_wrong_names_and_old_plans_are_refused_and_the_gate_lives(peer):
    peer.enable()
    total = peer.gate.gate.counts.total
    for reason, changes in BROKEN.items():
        peer.plan(np.zeros((8, 3)), **changes)
        assert peer.spin(lambda: total[reason] == 1), reason  # noqa: B023
    assert {r for r in INPUT if total[r]} == set(BROKEN)

    def told() -> bool:
        counts = dict(zip(peer.states[-1].reasons, peer.states[-1].counts))
        return all(counts[reason.value] == 1 for reason in BROKEN)

    assert peer.spin(told)
    assert not any(a.trace.gate_ns for a in peer.actions)  # none of them became a path
    peer.plan(np.full((8, 3), 0.02))
    assert peer.spin(lambda: any(a.trace.gate_ns for a in peer.actions))
    assert peer.gate.gate.last_error is None


def test_estop_latches_until_reset_then_enable(peer):
    peer.enable()
    press = EmergencyStop(source="button", pressed=True)
    peer.estop.publish(press)
    assert peer.spin(lambda: peer.state() == SafetyState.LATCHED)
    assert not peer.call("enable").success
    refused = peer.call("reset")
    assert not refused.success
    assert "e-stop pressed: button" in refused.message
    press.pressed = False
    end = time.monotonic() + 6.0
    success = False
    while not success and time.monotonic() < end:
        peer.estop.publish(press)
        peer.spin(lambda: False, 0.03)
        success = peer.call("reset").success
    assert success
    assert peer.spin(lambda: peer.state() == SafetyState.READY)
    peer.estop.publish(press)
    assert peer.call("enable").success


@pytest.mark.parametrize("peer", [{"auto_enable": True}], indirect=True)
def test_auto_enable_and_joint_state_loss_holds(peer):
    enabled = (SafetyState.ACTIVE, SafetyState.HOLD)
    assert peer.spin(lambda: peer.state() in enabled)
    peer.talk = False

    def stale() -> bool:
        counts = dict(zip(peer.states[-1].reasons, peer.states[-1].counts))
        return counts["joint_state_stale"] > 0 and peer.state() == SafetyState.HOLD

    assert peer.spin(stale)


def test_deactivation_stops_and_a_second_activation_needs_enable(peer):
    peer.enable()
    peer.gate.trigger_deactivate()
    assert peer.spin(lambda: peer.state() == SafetyState.INACTIVE)
    assert not peer.call("enable").success
    peer.gate.trigger_activate()
    told, moved = len(peer.leases), len([a for a in peer.actions if a.trace.gate_ns])
    assert peer.spin(lambda: len(peer.leases) > told + 5)  # it works again
    peer.plan(np.full((8, 3), 0.02))
    checks = peer.gate.gate.checks
    assert peer.spin(lambda: checks.last is not None)  # it came, and led to nothing
    assert {lease.state for lease in peer.leases[told:]} == {SafetyState.INACTIVE}
    assert len([a for a in peer.actions if a.trace.gate_ns]) == moved
    assert peer.spin(lambda: peer.call("enable").success)


def test_a_publisher_that_falls_silent_latches_and_reset_waits_for_it(peer):
    peer.enable()
    peer.publisher = False
    assert peer.spin(lambda: peer.state() == SafetyState.LATCHED)
    assert peer.states[-1].cause == "publisher: joint_command_publisher is silent"
    assert peer.spin(lambda: peer.states[-1].reset_blocked_by)
    assert "not heard on /vla/command_state" in peer.call("reset").message
    status = {s.name: s for s in peer.gate.diagnostics.collect()}["safety_gate: Publisher"]
    assert status.level == ERROR and "not heard" in status.message
    peer.publisher = True
    assert peer.spin(lambda: peer.call("reset").success)
    assert peer.call("enable").success
