"""Faults injected into the lower half of the graph: what is the arm told, and how soon?

The plans come from the test, so that each fault is the only thing that is wrong. Times are those
of the safety page's hazard table, measured where the controller of the simulated arm sees them.
"""

from __future__ import annotations

import math
import signal
import threading
import time

import numpy as np
import pytest
from harness import Graph, PlanSource, assert_within_limits, put_before_others, reaction, wait
from sensor_msgs.msg import JointState
from vla_msgs.msg import EmergencyStop

from vla_common import qos

DOMAIN = 61
CRUISE = PlanSource.SPEED


@pytest.fixture
def arm():
    """The lower half, moving joint1 at a constant speed."""
    with Graph(DOMAIN, leave_out=("pipeline", "system_monitor")) as graph:
        graph.wait_active()
        source = PlanSource(graph.watcher)
        source.start()
        moving(graph, source)
        graph.source = source
        yield graph
        source.running = False


def moving(graph, source, timeout=10.0):
    """Wait until joint1 cruises, well away from the turning points."""

    def cruising():
        phase = (time.monotonic_ns() - source.start_ns) * 1e-9 * source.SPEED % (2 * source.SPAN)
        near = abs(phase - source.SPAN) < 0.25 or not phase > 0.0
        recent = graph.watcher.desired[-20:]
        steady = len(recent) == 20 and all(abs(abs(s.velocity[0]) - CRUISE) < 0.02 for s in recent)
        return steady and not near and 0.2 < phase % source.SPAN < 0.3

    graph.wait(cruising, timeout, "joint1 cruising")


def stays(graph, seconds=0.6):
    """Check that the arm is at rest and stays there."""
    watcher = graph.watcher
    wait(lambda: watcher.speed() < 1e-3, 2.0, "the arm at rest")
    time.sleep(0.1)
    before = watcher.desired[-1].position
    start = time.monotonic_ns()
    time.sleep(seconds)
    moved = max(np.abs(s.position - before).max() for s in watcher.after(start))
    assert moved < 1e-3


def check(graph, fault_ns, within):
    """Check reaction time and limits after a fault; return the time to the first slowing."""
    before = [s for s in graph.watcher.desired[-1000:] if s.ns < fault_ns][-1]
    assert np.abs(before.velocity).max() > 0.5 * CRUISE, (
        f"the arm did not move before the fault: {np.round(before.velocity, 3)}; gate: "
        f"{graph.watcher.states[-4:]}, {graph.watcher.safety}"
    )
    wait(lambda: graph.watcher.speed() < 1e-3, 3.0, "the arm at rest")
    samples = graph.watcher.after(fault_ns)
    slowed, rest = reaction(samples, fault_ns, CRUISE)
    assert_within_limits(graph.watcher.desired[-600:], graph.robot)
    print(f"first slowing after {slowed * 1e3:.0f} ms, at rest after {rest * 1e3:.0f} ms")
    assert slowed <= within
    return slowed


def test_gate_killed(arm):
    fault = arm.kill("safety_gate")
    check(arm, fault, 0.070)
    stays(arm)
    level, _, values = wait_diagnostic(arm, "joint_command_publisher: Loop", 2)
    assert level == 2, values


def wait_diagnostic(graph, name, level):
    """Wait until a diagnostic has a level; return it."""
    seen = graph.watcher.diagnostics
    wait(lambda: name in seen and seen[name][0] >= level, 3.0, f"{name} at level {level}")
    return seen[name]


def test_publisher_killed(arm):
    fault = arm.kill("joint_command_publisher")
    check(arm, fault, 0.200)
    stays(arm)


def test_gate_stopped_by_sigstop(arm):
    fault = arm.kill("safety_gate", signal.SIGSTOP)
    check(arm, fault, 0.070)
    stays(arm)
    arm.kill("safety_gate", signal.SIGCONT)


def test_plans_end(arm):
    fault = time.monotonic_ns()
    arm.source.running = False
    check(arm, fault, 0.160)
    stays(arm)
    assert arm.watcher.state in ("HOLD", "LATCHED")


def tampered(arm, change, reason, hold=True):
    """Send plans changed by ``change``; the arm stops, and ``reason`` is counted."""
    before = arm.watcher.counts.get(reason, 0)
    fault = time.monotonic_ns()
    arm.source.tamper = change
    wait(
        lambda: arm.watcher.counts.get(reason, 0) > before,
        3.0,
        f"{reason} counted, in {arm.watcher.counts}",
    )
    if hold:
        check(arm, fault, 0.160)
        stays(arm)
    arm.source.tamper = lambda message: message


def test_not_finite(arm):
    def change(message):
        message.positions[3] = math.nan
        return message

    tampered(arm, change, "non_finite")


def test_wrong_names_latch(arm):
    def change(message):
        message.joint_names = [*message.joint_names[:-1], "elbow"]
        return message

    tampered(arm, change, "wrong_names")
    wait(lambda: arm.watcher.state == "LATCHED", 2.0, "latched after three wrong plans")


def test_wrong_order_latches(arm):
    def change(message):
        names = list(message.joint_names)
        message.joint_names = [names[1], names[0], *names[2:]]
        return message

    tampered(arm, change, "wrong_order")
    wait(lambda: arm.watcher.state == "LATCHED", 2.0, "latched after three wrong plans")


def test_wrong_size(arm):
    def change(message):
        message.positions = message.positions[:-1]
        return message

    tampered(arm, change, "wrong_size")


def test_stale_plans(arm):
    def change(message):
        message.trace.action_ns -= 500_000_000
        message.trace.capture_ns -= 500_000_000
        message.start_ns -= 500_000_000
        return message

    tampered(arm, change, "stale")


def test_duplicates(arm):
    stuck = arm.source.message(time.monotonic_ns())

    def change(message):
        message.epoch, message.seq = stuck.epoch, stuck.seq
        return message

    tampered(arm, change, "duplicate")


def test_one_bad_plan_in_between_does_not_stop_the_arm(arm):
    counter = iter(range(1_000_000))

    def change(message):
        if next(counter) == 2:
            message.positions[0] = math.inf
        return message

    start = time.monotonic_ns()
    tampered(arm, change, "non_finite", hold=False)
    time.sleep(0.3)
    assert arm.watcher.state == "ACTIVE", arm.explain()
    assert_within_limits(arm.watcher.after(start), arm.robot)


def test_a_jump_of_the_plan_is_not_followed(arm):
    def change(message):
        message.positions = type(message.positions)("d", [p + 1.0 for p in message.positions])
        return message

    fault = time.monotonic_ns()
    arm.source.tamper = change
    time.sleep(1.0)
    arm.source.tamper = lambda message: message
    assert_within_limits(arm.watcher.after(fault), arm.robot)
    assert arm.watcher.counts.get("jump", 0) > 0


def test_joint_states_stop(arm):
    heard = []
    arm.watcher.node.create_subscription(
        JointState, "/joint_states", lambda _: heard.append(time.monotonic_ns()), qos.JOINT_STATES
    )
    wait(lambda: len(heard) > 5, 5.0, "joint states")
    set_silent(arm, "joint_states")
    time.sleep(0.02)
    check(arm, heard[-1], 0.060)
    stays(arm)
    assert arm.watcher.state in ("HOLD", "LATCHED")
    set_silent(arm, "")


def set_silent(graph, names, kind="silent"):
    """Silence streams of the simulated arm, or make its cameras ``frozen`` or ``dark``."""
    graph.watcher.set_parameter("/sim_arm", kind, names)


class Button(threading.Thread):
    """An emergency stop button with its heartbeat."""

    def __init__(self, watcher):
        super().__init__(daemon=True)
        self.watcher = watcher
        self.pressed = False
        self.running = True
        self.start()

    def run(self):
        put_before_others()
        while self.running:
            self.watcher.estop.publish(EmergencyStop(source="button", pressed=self.pressed))
            time.sleep(0.04)


@pytest.fixture
def button(arm):
    """A button that is alive and not pressed, while the arm moves."""
    result = Button(arm.watcher)
    time.sleep(0.3)
    moving(arm, arm.source)
    yield result
    result.running = False


def test_emergency_stop_and_recovery(arm, button):
    watcher = arm.watcher
    fault = time.monotonic_ns()
    button.pressed = True
    check(arm, fault, 0.160)
    wait(lambda: watcher.state == "LATCHED", 2.0, "latched")
    ok, message = watcher.call("reset")
    assert not ok
    assert "pressed" in message
    assert not watcher.call("enable")[0]
    button.pressed = False
    wait(lambda: watcher.call("reset")[0], 4.0, "reset accepted")
    stays(arm, 0.3)
    assert watcher.state == "READY"
    ok, message = watcher.call("enable")
    assert ok, message
    wait(lambda: watcher.state in ("ACTIVE", "SLOW"), 3.0, "active again")
    wait(lambda: watcher.speed() > 0.1, 3.0, "moving again")
    assert_within_limits(watcher.after(fault), arm.robot)


def test_emergency_stop_heartbeat_lost(arm, button):
    watcher = arm.watcher
    button.running = False
    button.join()
    fault = time.monotonic_ns()
    check(arm, fault, 0.160)
    wait(lambda: watcher.state == "LATCHED", 1.0, "latched by silence")
    assert not watcher.call("reset")[0]
    stays(arm)


def test_stop_service(arm):
    fault = time.monotonic_ns()
    ok, message = arm.watcher.call("stop")
    assert ok, message
    check(arm, fault, 0.160)
    wait(lambda: arm.watcher.state == "LATCHED", 2.0, "latched")
    stays(arm)
