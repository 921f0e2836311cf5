"""The node's sources on real topics: cameras, several buttons, the service, a source of its own."""

from __future__ import annotations

import os
import threading
import time

import pytest
import rclpy
from rclpy.parameter import Parameter
from safety_world import make_robot
from test_gate_node import Peer, flat
from vla_msgs.msg import EmergencyStop, SafetyState, SystemHealth

from vla_common import qos
from vla_common.diagnostics import ERROR, OK
from vla_safety.node import SafetyGate

DOMAIN = "44"


class Button:
    """A source in the gate's process, told by the test what to do."""

    behave = staticmethod(lambda: False)
    closed = 0

    def __init__(self, robot):
        pass

    def pressed(self):
        return Button.behave()

    def close(self):
        Button.closed += 1


PLUGIN = {"estop_plugin": f"{__name__}:Button"}


@pytest.fixture
def peer(request):
    os.environ["ROS_DOMAIN_ID"] = DOMAIN
    Button.behave, Button.closed = staticmethod(lambda: False), 0
    rclpy.init()
    found = Peer(**getattr(request, "param", {}))
    yield found
    found.close()
    rclpy.try_shutdown()


def status(peer, name):
    """Return level, text and values of one of the gate's diagnostics."""
    (found,) = [s for s in peer.gate.diagnostics.collect() if s.name == f"safety_gate: {name}"]
    return found.level, found.message, {v.key: v.value for v in found.values}


def latched(peer):
    """Wait until the gate is latched; return why."""
    assert peer.spin(lambda: peer.state() == SafetyState.LATCHED)
    return peer.states[-1].cause


# --- cameras ----------------------------------------------------------------------------------
def test_a_dark_camera_holds_and_goes_on_when_it_is_lit(peer):
    peer.enable()
    assert status(peer, "Cameras")[0] == OK
    peer.health["dark"] = [10]
    assert peer.spin(lambda: peer.state() == SafetyState.HOLD)
    assert peer.states[-1].cause == "camera_dark: c"
    level, text, values = status(peer, "Cameras")
    assert level == ERROR
    assert "camera_dark: c" in text
    assert values["Camera dark"] == "1"
    peer.health["dark"] = [0]
    assert peer.spin(lambda: peer.state() == SafetyState.ACTIVE)


@pytest.mark.parametrize("peer", [{"camera_age_ms": 300.0}], indirect=True)
def test_silence_of_camera_ingest_holds(peer):
    peer.enable()
    peer.cameras_talk = False
    assert peer.spin(lambda: peer.state() == SafetyState.HOLD)
    assert peer.states[-1].cause == "camera_health_lost: camera_ingest is silent"


# --- system_monitor ---------------------------------------------------------------------------
def test_lowered_clocks_slow_down_until_they_are_not(peer):
    health = peer.node.create_publisher(SystemHealth, "/vla/system_health", qos.HEARTBEAT)
    peer.enable()
    assert peer.spin(health.get_subscription_count)
    health.publish(SystemHealth(sent_ns=time.monotonic_ns(), throttled=["thermal", "power brake"]))
    assert peer.spin(lambda: peer.state() == SafetyState.SLOW, 2.0)
    assert peer.states[-1].cause == "throttled: thermal; power brake"
    assert status(peer, "State")[2]["Throttled"] == "thermal; power brake"
    health.publish(SystemHealth(sent_ns=-1))
    assert peer.spin(lambda: status(peer, "Input")[2]["System health bad"] == "1", 2.0)
    assert peer.state() == SafetyState.SLOW
    health.publish(SystemHealth(sent_ns=time.monotonic_ns()))
    assert peer.spin(lambda: peer.state() == SafetyState.ACTIVE, 2.0)


# --- a pause ----------------------------------------------------------------------------------
def test_a_button_must_be_heard_anew_after_a_pause_and_does_not_latch_for_it(peer):
    peer.estop.publish(EmergencyStop(source="button", pressed=False))
    assert peer.spin(lambda: peer.gate.gate.estop.seen)
    peer.gate.trigger_deactivate()
    time.sleep(0.4)  # longer than its patience
    peer.gate.trigger_activate()

    def said():
        peer.estop.publish(EmergencyStop(source="button", pressed=False))
        return not peer.gate.gate.estop.unheard()

    assert "e-stop not heard yet: button" in peer.call("enable").message
    assert peer.spin(said)
    assert peer.state() == SafetyState.INACTIVE


# --- the service and the topic ----------------------------------------------------------------
def test_the_service_latches_and_each_change_is_published(peer):
    peer.enable()
    assert peer.spin(lambda: any(c.state == SafetyState.ACTIVE for c in peer.changes))
    del peer.changes[:]
    assert peer.call("estop").success
    assert latched(peer) == "estop_pressed: ~/estop"
    assert peer.spin(lambda: len(peer.changes) >= 2)
    stopping, then = peer.changes[:2]
    assert (stopping.previous, stopping.state) == (SafetyState.ACTIVE, SafetyState.STOPPING)
    assert (then.previous, then.state) == (SafetyState.STOPPING, SafetyState.LATCHED)
    assert then.transitions == stopping.transitions + 1
    assert 0 < stopping.since_ns <= then.since_ns <= time.monotonic_ns()
    assert not peer.call("enable").success
    level, _, values = status(peer, "Emergency stop")
    assert level == ERROR
    assert (values["Latched"], values["Source"], values["Trips"]) == ("True", "~/estop", "1")


def test_a_press_is_heard_although_another_button_speaks_right_after_it(peer):
    peer.enable()
    other = peer.node.create_publisher(EmergencyStop, "/vla/estop", qos.HEARTBEAT)
    assert peer.spin(lambda: other.get_subscription_count() > 0)
    peer.estop.publish(EmergencyStop(source="a", pressed=True))
    for _ in range(5):
        other.publish(EmergencyStop(source="b", pressed=False))
    assert latched(peer) == "estop_pressed: a"


# --- a source of the gate's own ---------------------------------------------------------------
@pytest.mark.parametrize("peer", [PLUGIN], indirect=True)
def test_an_own_source_pressed_released_and_closed(peer):
    peer.enable()
    assert status(peer, "Emergency stop")[0] == OK
    Button.behave = staticmethod(lambda: True)
    assert latched(peer) == f"estop_pressed: estop_plugin {PLUGIN['estop_plugin']}"
    assert "e-stop pressed" in peer.call("reset").message
    Button.behave = staticmethod(lambda: False)
    assert peer.spin(lambda: peer.call("reset").success)
    assert peer.call("enable").success
    peer.gate.trigger_deactivate()
    peer.gate.trigger_cleanup()
    assert Button.closed == 1


@pytest.mark.parametrize("peer", [PLUGIN], indirect=True)
def test_an_own_source_that_raises_is_pressed(peer):
    peer.enable()
    Button.behave = staticmethod(lambda: 1 / 0)
    assert latched(peer).startswith("estop_pressed")


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("peer", [PLUGIN], indirect=True)
def test_an_own_source_that_hangs_latches_in_time(peer, busy):
    peer.enable()
    hung, let_go = [], threading.Event()

    def hang():
        hung.append(time.monotonic_ns())
        while not let_go.is_set():
            let_go.wait(0.0 if busy else 20.0)
        return False

    Button.behave = staticmethod(hang)
    assert latched(peer).startswith("estop_heartbeat_lost: estop_plugin")
    took_ms = (peer.states[-1].since_ns - hung[0]) * 1e-6
    print(f"latched {took_ms:.0f} ms after it hung")
    assert 70.0 < took_ms < 125.0 + 30.0
    assert "heartbeat lost" in peer.call("reset").message
    let_go.set()


def test_a_source_that_does_not_load_fails_configure():
    os.environ["ROS_DOMAIN_ID"] = DOMAIN
    rclpy.init()
    robot = make_robot(2, estop_plugin="nobody:Nothing")
    gate = SafetyGate(
        parameter_overrides=[*flat(robot.parameters), Parameter("autostart", value=False)]
    )
    gate.trigger_configure()
    assert "safety.estop_plugin = 'nobody:Nothing'" in str(gate.failure)
    gate.diagnostics.stop()
    gate.destroy_node()
    rclpy.try_shutdown()


def test_a_service_that_meets_a_bug_latches(peer, monkeypatch):
    peer.enable()
    monkeypatch.setattr(peer.gate.gate.permits, "enable_blocked_by", lambda *a: 1 / 0)
    answer = peer.call("enable")
    assert not answer.success
    assert "ZeroDivisionError" in answer.message
    monkeypatch.undo()
    assert latched(peer) == "internal_error"
