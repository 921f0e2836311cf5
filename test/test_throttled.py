"""Lowered clocks, told to the running graph while the arm moves: slow, held, and back again.

What system_monitor says comes from the test, as the plans do; it is left out of the graph.
"""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from harness import assert_within_limits, wait
from test_faults_below import arm, check, stays  # noqa: F401
from vla_msgs.msg import SystemHealth

from vla_common import qos

WITHIN = 2.0
PERIOD = 0.5
LATE_NS = 80_000_000


class Monitor(threading.Thread):
    """Says twice a second why clocks are lowered, and at once when that changes."""

    def __init__(self, node) -> None:
        super().__init__(daemon=True)
        self._publisher = node.create_publisher(SystemHealth, "/vla/system_health", qos.HEARTBEAT)
        self._asked = threading.Event()
        self._throttled: list[str] = []
        self.running = True
        wait(self._publisher.get_subscription_count, 5.0, "the gate listens")

    def say(self, *throttled: str) -> None:
        """Tell these reasons from now on."""
        self._throttled = list(throttled)
        self._asked.set()

    def run(self) -> None:
        """Send until told to stop."""
        while self.running:
            self._asked.wait(PERIOD)
            self._asked.clear()
            self._publisher.publish(
                SystemHealth(sent_ns=time.monotonic_ns(), throttled=self._throttled)
            )


@pytest.fixture
def monitor(arm):  # noqa: F811
    found = Monitor(arm.watcher.node)
    found.start()
    yield found
    found.running = False
    found.join(2.0)


def late(message):
    """Let the policy have computed longer than a period of plans."""
    message.trace.inference_start_ns = message.trace.inference_ns - LATE_NS
    return message


def test_throttling_slows_down_and_its_end_speeds_up(arm, monitor):  # noqa: F811
    watcher = arm.watcher
    assert watcher.state == "ACTIVE"
    monitor.say("thermal, by hardware")
    took = wait(lambda: watcher.state == "SLOW", WITHIN, "gate SLOW")
    print(f"SLOW after {took * 1e3:.0f} ms")
    assert watcher.safety.cause == "throttled: thermal, by hardware"
    start = time.monotonic_ns()
    time.sleep(1.0)
    assert watcher.state == "SLOW"
    assert max(np.abs(s.velocity[0]) for s in watcher.after(start)) > 0.1  # plans pass
    monitor.say()
    arm.wait(lambda: watcher.state == "ACTIVE", WITHIN, "gate ACTIVE again")
    assert_within_limits(watcher.desired[-600:], arm.robot)


def test_late_plans_hold_while_throttled_only(arm, monitor):  # noqa: F811
    watcher = arm.watcher
    arm.source.tamper = late
    time.sleep(0.5)
    assert watcher.state == "ACTIVE"
    fault = time.monotonic_ns()
    monitor.say("thermal, by hardware")
    check(arm, fault, WITHIN)
    assert watcher.state == "HOLD"
    cause = "throttled: thermal, by hardware; inference p99 above 50 ms"
    assert watcher.safety.cause == cause
    stays(arm)
    assert watcher.counts["throttled"] == 1
    arm.source.tamper = lambda message: message
    arm.wait(lambda: watcher.state == "SLOW", 4.0, "gate SLOW again")
    monitor.say()
    arm.wait(lambda: watcher.state == "ACTIVE", WITHIN, "gate ACTIVE again")
    arm.wait(lambda: watcher.speed() > 0.1, 5.0, "moving again")


def test_silence_of_system_monitor_ends_the_slowing_down(arm, monitor):  # noqa: F811
    monitor.say("thermal, by hardware")
    arm.wait(lambda: arm.watcher.state == "SLOW", WITHIN, "gate SLOW")
    monitor.running = False
    took = arm.wait(lambda: arm.watcher.state == "ACTIVE", 5.0, "gate ACTIVE again")
    assert took > 2.0
