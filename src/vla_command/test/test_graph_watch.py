"""The publisher against real controllers' nodes: missing, wrong, gone while running."""

import time

import pytest
import rclpy
from command_world import JOINTS
from rclpy.parameter import Parameter
from test_command_node import TOPIC, World
from trajectory_msgs.msg import JointTrajectory
from vla_msgs.msg import CommandState

from vla_command.core.path import GateState
from vla_command.core.watchdog import Mode
from vla_command.graph_watch import SETTLE_NS, SETTLING, GraphWatch
from vla_common.diagnostics import ERROR

VALUES = {
    "joints": list(JOINTS),
    "command_interfaces": ["position"],
    "interpolate_from_desired_state": True,
    "cmd_timeout": 0.5,
}


class Arm(World):
    """A publisher that asks, and a controller of the name that its topic says."""

    def __init__(self):
        self.controller = None
        super().__init__(check_parameters=True)

    def start_controller(self, **changes):
        self.controller = node = rclpy.create_node("test_arm", context=self.context)
        for name, value in {**VALUES, **changes}.items():
            node.declare_parameter(name, value)
        self.heard = node.create_subscription(JointTrajectory, TOPIC, lambda m: None, 1)
        self.executor.add_node(node)
        self.executor.wake()

    def stop_controller(self):
        node, self.controller = self.controller, None
        self.executor.remove_node(node)
        node.destroy_node()

    def problems(self):
        self.lease(GateState.READY)
        return list(self.told[-1].problems) if self.told else None

    def say(self, words, timeout=3.0):
        """Wait until a problem with these words is told; return the seconds it took."""
        start = time.monotonic()
        self.until(lambda: any(words in p for p in self.problems() or ()), timeout)
        return time.monotonic() - start

    def close(self):
        if self.controller is not None:
            self.stop_controller()
        super().close()


@pytest.fixture
def arm():
    result = Arm()
    yield result
    result.close()


def test_a_missing_controller_is_told_although_somebody_listens(arm):
    arm.say(f"no controller /test_arm listens on {TOPIC}, but /fake_gate")
    assert arm.told[-1].mode == CommandState.WAITING
    arm.send(1)
    arm.until(lambda: arm.unit.commander.ignored == 1)
    assert not arm.received
    assert arm.status("Output").level == ERROR
    arm.start_controller()
    arm.until(lambda: arm.problems() == [])
    arm.enable()
    arm.send(2, speed=0.0)
    arm.until(lambda: arm.received)


def test_cmd_timeout_zero_before_enable_and_while_running(arm):
    arm.start_controller(cmd_timeout=0.0)
    arm.say("/test_arm: cmd_timeout is 0 (off)")
    arm.controller.set_parameters([Parameter("cmd_timeout", value=0.5)])
    arm.until(lambda: arm.problems() == [])
    arm.enable()
    arm.send(1)
    arm.until(lambda: arm.unit.commander.watchdog.mode is Mode.FOLLOWING)
    arm.controller.set_parameters([Parameter("cmd_timeout", value=0.0)])

    def latched():
        arm.lease(GateState.ACTIVE)
        return arm.told[-1].mode == CommandState.LATCHED

    arm.until(latched, 3.0)
    assert "cmd_timeout is 0" in arm.told[-1].problems[0]


def test_a_controller_that_goes_while_running_latches_within_a_second(arm):
    arm.start_controller()
    arm.until(lambda: arm.problems() == [])
    arm.enable()
    arm.send(1)
    arm.until(lambda: arm.unit.commander.watchdog.mode is Mode.FOLLOWING)
    arm.stop_controller()
    start = time.monotonic()

    def latched():
        arm.lease(GateState.ACTIVE)
        return arm.told[-1].mode == CommandState.LATCHED

    arm.until(latched, 3.0)
    assert time.monotonic() - start <= 1.0
    assert "no controller /test_arm listens" in arm.told[-1].problems[0]
    assert arm.status("Output").level == ERROR


def test_a_controller_that_does_not_answer_for_long_is_a_problem(arm):
    arm.start_controller()
    arm.until(lambda: arm.problems() == [])
    client = arm.unit.watch._client
    now = time.monotonic_ns()
    client._futures, client._asked_ns = [Never()], now
    client._client.remove_pending_request = lambda future: None
    assert client.problems(now + 800_000_000) == ()
    assert client.problems(now + 950_000_000) == ()  # once is not yet a fault
    client._futures, client._asked_ns = [Never()], now
    assert "does not answer" in client.problems(now + 950_000_000)[0]


class Never:
    """A question without an answer."""

    def done(self):
        return False


def test_a_problem_that_is_gone_counts_for_a_second(monkeypatch):
    watch = GraphWatch.__new__(GraphWatch)
    watch._problem_ns = None
    found: list[tuple[str, ...]] = [()]
    monkeypatch.setattr(watch, "_problems", lambda now_ns: found[0], raising=False)
    assert watch.look(0) == ()
    found[0] = ("2 publishers",)
    assert watch.look(10) == ("2 publishers",)
    found[0] = ()
    assert watch.look(10 + SETTLE_NS - 1) == SETTLING
    assert watch.look(10 + SETTLE_NS) == ()
