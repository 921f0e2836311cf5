"""The running graph for system tests, with an observer that sees what the controller sees.

Two ways to drive it: the whole graph with the trained policy, or the lower half (simulated arm,
publisher, gate) with plans that the test itself sends, so that a fault can be injected into an
otherwise flawless stream.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rclpy
from ament_index_python.packages import get_package_prefix
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState
from sensors import CameraSource, put_before_others
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory
from vla_msgs.msg import (
    ActionChunk,
    EmergencyStop,
    Instruction,
    SafeAction,
    SafetyState,
    TaskState,
)

from vla_bringup.child import Child, command
from vla_bringup.core.graph import Options, Process, processes
from vla_common import qos
from vla_common.convert import ns_to_stamp, stamp_to_ns
from vla_common.core.robot import Robot, load

ROOT = Path(__file__).resolve().parents[1]
ROBOT_FILE = ROOT / "config" / "robots" / "sim_arm.yaml"
STATES = {
    getattr(SafetyState, name): name
    for name in ("INACTIVE", "READY", "ACTIVE", "SLOW", "HOLD", "STOPPING", "LATCHED")
}
STEP = 0.05
HORIZON = 8


@dataclass(frozen=True)
class Sample:
    """The controller's desired state, received at ``ns`` (CLOCK_MONOTONIC), of ROS time ``at``."""

    ns: int
    at: float
    position: np.ndarray
    velocity: np.ndarray


def wait(condition, timeout: float, what: str) -> float:
    """Wait until ``condition()``; return the seconds it took, fail when it takes too long."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > timeout:
            raise AssertionError(f"after {timeout:g} s still not: {what}")
        time.sleep(0.002)
    return time.monotonic() - start


class Watcher:
    """Subscribes to everything that a test may ask about."""

    def __init__(self, context: rclpy.Context, robot: Robot) -> None:
        self.robot = robot
        self.node = node = rclpy.create_node("system_test", context=context)
        self.desired: list[Sample] = []
        self._orders: dict[tuple[str, ...], list[int]] = {}
        self.actions: list[int] = []
        self.trajectories: list[int] = []
        self.states: list[tuple[int, int, str]] = []
        self.counts: dict[str, int] = {}
        self.safe: SafeAction | None = None
        self.safety: SafetyState | None = None
        self.measured: np.ndarray | None = None
        self.task: TaskState | None = None
        self.diagnostics: dict[str, tuple[int, str, dict[str, str]]] = {}
        subscribe = node.create_subscription
        subscribe(JointState, "/sim_arm/desired", self._on_desired, qos.EVENTS)
        subscribe(JointState, robot.controller.joint_states, self._on_measured, qos.JOINT_STATES)
        subscribe(ActionChunk, "/vla/actions", self._note(self.actions), qos.PLAN)
        subscribe(
            JointTrajectory, robot.controller.topic, self._note(self.trajectories), qos.COMMAND
        )
        subscribe(SafetyState, "/vla/safety_state", self._on_state, qos.LATCHED)
        subscribe(SafeAction, "/vla/safe_actions", lambda m: setattr(self, "safe", m), qos.PLAN)
        subscribe(TaskState, "/sim_arm/task_state", lambda m: setattr(self, "task", m), qos.EVENTS)
        subscribe(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.DIAGNOSTICS)
        self.plan = node.create_publisher(ActionChunk, "/vla/actions", qos.PLAN)
        self.words = node.create_publisher(Instruction, "/vla/instruction", qos.LATCHED)
        self.estop = node.create_publisher(EmergencyStop, "/vla/estop", qos.HEARTBEAT)
        self.services = {
            name: node.create_client(Trigger, f"/safety_gate/{name}")
            for name in ("reset", "enable", "stop", "estop")
        }

    def _note(self, times: list[int]):
        return lambda message: times.append(time.monotonic_ns())

    def order(self, message: JointState) -> list[int]:
        """Return at which places of a joint state the robot's joints are; found once."""
        names = tuple(message.name)
        if names not in self._orders:
            self._orders[names] = [names.index(name) for name in self.robot.joints]
        return self._orders[names]

    def _on_desired(self, message: JointState) -> None:
        order = self.order(message)
        self.desired.append(
            Sample(
                time.monotonic_ns(),
                stamp_to_ns(message.header.stamp) * 1e-9,
                np.array(message.position)[order],
                np.array(message.velocity)[order],
            )
        )

    def _on_measured(self, message: JointState) -> None:
        self.measured = np.array(message.position)[self.order(message)]

    def _on_state(self, message: SafetyState) -> None:
        if not self.states or self.states[-1][1] != message.state:
            self.states.append((time.monotonic_ns(), message.state, message.cause))
        self.counts = dict(zip(message.reasons, message.counts))
        self.safety = message

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {v.key: v.value for v in status.values}
            self.diagnostics[status.name] = (status.level[0], status.message, values)

    @property
    def state(self) -> str:
        """Name of the gate's state."""
        return STATES[self.safety.state] if self.safety is not None else "unknown"

    def call(self, name: str) -> tuple[bool, str]:
        """Call one of the gate's services."""
        client = self.services[name]
        assert client.wait_for_service(5.0), f"{name}: no such service"
        future = client.call_async(Trigger.Request())
        wait(future.done, 5.0, f"an answer from {name}")
        return future.result().success, future.result().message

    def set_parameter(self, node: str, name: str, value: str | float) -> None:
        """Set a parameter of another node; fail when that is refused."""
        client = self.node.create_client(SetParameters, f"{node}/set_parameters")
        try:
            assert client.wait_for_service(5.0), f"{node}: no such node"
            kinds = ParameterType
            given = (
                ParameterValue(type=kinds.PARAMETER_STRING, string_value=value)
                if isinstance(value, str)
                else ParameterValue(type=kinds.PARAMETER_DOUBLE, double_value=value)
            )
            request = SetParameters.Request(parameters=[Parameter(name=name, value=given)])
            future = client.call_async(request)
            wait(future.done, 5.0, f"an answer from {node}/set_parameters")
            result = future.result().results[0]
            assert result.successful, result.reason
        finally:
            self.node.destroy_client(client)

    def after(self, ns: int) -> list[Sample]:
        """Return the desired states received since ``ns``."""
        return [s for s in list(self.desired) if s.ns >= ns]

    def speed(self) -> float:
        """Return the largest joint speed of the newest desired state [rad/s]."""
        return float(np.abs(self.desired[-1].velocity).max()) if self.desired else 0.0


class PlanSource(threading.Thread):
    """Sends flawless plans at 20 Hz: joint1 to and fro at a constant speed.

    ``tamper(message)`` may change a message before it is sent, or return None to drop it.
    """

    SPEED = 0.4
    SPAN = 0.6

    def __init__(self, watcher: Watcher) -> None:
        super().__init__(daemon=True)
        self.watcher = watcher
        self.tamper = lambda message: message
        self.epoch, self.seq = int(time.time()), 0
        self.running = True
        self.start_ns = time.monotonic_ns()
        home = np.array(watcher.robot.identity.home)
        self.home = home

    def target(self, ns: int) -> np.ndarray:
        """Return the joints at a time: a triangle wave on joint1, at home else."""
        phase = (ns - self.start_ns) * 1e-9 * self.SPEED % (4 * self.SPAN)
        offset = phase if phase < self.SPAN else 2 * self.SPAN - phase
        if phase > 3 * self.SPAN:
            offset = phase - 4 * self.SPAN
        result = self.home.copy()
        result[0] += offset
        return result

    def message(self, now_ns: int) -> ActionChunk:
        """Return the plan from ``now_ns`` on."""
        if self.watcher.safety is not None and self.watcher.safety.min_epoch > self.epoch:
            self.epoch, self.seq = self.watcher.safety.min_epoch, 0
            # A new plan starts where the arm stands, as that of a policy does.
            offset = self.watcher.desired[-1].position[0] - self.home[0]
            self.start_ns = now_ns - round(offset / self.SPEED * 1e9)
        self.seq += 1
        first = now_ns + round(STEP * 1e9)
        rows = np.stack([self.target(first + round(i * STEP * 1e9)) for i in range(HORIZON)])
        message = ActionChunk(
            epoch=self.epoch,
            seq=self.seq,
            joint_names=list(self.watcher.robot.joints),
            step_dt=STEP,
            horizon=HORIZON,
            start_ns=first,
            positions=array("d", rows.tobytes()),
            confidence=1.0,
            model_id="system_test",
        )
        message.header.stamp = ns_to_stamp(time.time_ns())
        for name in (
            "capture_ns",
            "received_ns",
            "ingest_ns",
            "features_ns",
            "inference_start_ns",
            "inference_ns",
            "action_ns",
        ):
            setattr(message.trace, name, now_ns)
        return message

    def run(self) -> None:
        """Send until told to stop."""
        put_before_others()
        deadline = time.monotonic_ns()
        while self.running:
            now = time.monotonic_ns()
            message = self.tamper(self.message(now))
            if message is not None and self.watcher.node.context.ok():
                self.watcher.plan.publish(message)
            deadline += round(STEP * 1e9)
            time.sleep(max(0.0, (deadline - time.monotonic_ns()) * 1e-9))


class Graph:
    """Processes of the simulated robot; a context manager that leaves none behind."""

    def __init__(
        self,
        domain: int,
        leave_out: tuple[str, ...] = (),
        robot_file: Path = ROBOT_FILE,
        options: Options | None = None,
        other_files: Mapping[str, Path] | None = None,
    ) -> None:
        """``other_files``: robot files of processes, by name, that have another than the rest."""
        self.robot = load(robot_file)
        self.logs = Path(tempfile.mkdtemp(prefix="vla_test_"))
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
        self.children = {
            process.name: Child(
                process.name,
                command(process, Path(get_package_prefix(process.package))),
                self.logs / f"{process.name}.log",
                {**environment, **process.environment},
            )
            for process in self._processes(robot_file, options or Options(), other_files or {})
            if process.name not in leave_out
        }
        self.domain = domain
        self.cameras: CameraSource | None = None  # while no pipeline speaks of them

    def _processes(
        self, robot_file: Path, options: Options, other_files: Mapping[str, Path]
    ) -> list[Process]:
        found = {process.name: process for process in processes(self.robot, robot_file, options)}
        for name, file in other_files.items():
            other = processes(self.robot, file, options)
            found[name] = next(process for process in other if process.name == name)
        return list(found.values())

    def __enter__(self) -> Graph:
        """Start everything and the observer."""
        self.context = rclpy.Context()
        rclpy.init(args=[], context=self.context, domain_id=self.domain)
        self.watcher = Watcher(self.context, self.robot)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.watcher.node)
        self.thread = threading.Thread(target=self._spin, daemon=True)
        self.thread.start()
        if "pipeline" not in self.children:
            self.cameras = CameraSource(self.watcher.node, self.robot)
            self.cameras.start()
        for child in self.children.values():
            child.start()
        return self

    def _spin(self) -> None:
        """Take what comes; who waits for this thread's lock may stand for a button, too."""
        put_before_others()
        self.executor.spin()

    def __exit__(self, *_: object) -> None:
        """Stop everything."""
        for thread in threading.enumerate():  # one that publishes while the context ends can hang
            if hasattr(thread, "running"):
                thread.running = False
                thread.join(1.0)
        for child in reversed(list(self.children.values())):
            child.send(signal.SIGINT)
        end = time.monotonic() + 8.0
        while any(c.pid for c in self.children.values()) and time.monotonic() < end:
            time.sleep(0.02)
        for child in self.children.values():
            child.send(signal.SIGKILL)
        self.executor.shutdown()
        self.thread.join(3.0)
        self.context.try_shutdown()

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a process; return the time at which it was sent."""
        now = time.monotonic_ns()
        self.children[name].send(number)
        return now

    def log(self, name: str) -> str:
        """Return what a process has said."""
        return (self.logs / f"{name}.log").read_text(errors="replace")

    def explain(self) -> str:
        """Return what may explain that something did not happen."""
        watcher = self.watcher
        counts = {name: count for name, count in watcher.counts.items() if count}
        bad = {name: d[1] for name, d in watcher.diagnostics.items() if d[0]}
        states = [(STATES[state], cause) for _, state, cause in watcher.states[-8:]]
        ended = {c.name: (c.code, *c.tail(1)) for c in self.children.values() if c.code is not None}
        said = f"gate {states}, {counts}; speed {watcher.speed():.3f}; not OK: {bad}"
        return f"{said}; ended: {ended}" if ended else said

    def wait(self, condition, timeout: float, what: str) -> float:
        """Wait as :func:`wait` does, and say more when it fails."""
        try:
            return wait(condition, timeout, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.explain()}") from None

    def wait_active(self, timeout: float = 30.0) -> None:
        """Wait until the gate lets plans pass."""
        try:
            wait(lambda: self.watcher.state in ("ACTIVE", "SLOW"), timeout, "gate ACTIVE")
        except AssertionError as error:
            logs = "\n".join(f"--- {n}\n{self.log(n)[-1500:]}" for n in self.children)
            raise AssertionError(f"{error}; it is {self.watcher.state}\n{logs}") from None


JITTER = 0.0001
"""[s] by which the controller may see a path earlier or later than the one before it: paths say
in ROS time when they start, and reading two clocks takes a moment."""


def assert_within_limits(samples: list[Sample], robot: Robot, slack: float = 1.02) -> None:
    """Check |v| of the desired states, and |a| from velocity differences over 30 and 60 ms.

    The rows that the gate sends are checked exactly in its own tests; here it is the controller
    that looks, whose view of the start of a path is off by up to ``JITTER``.
    """
    times = np.array([s.at for s in samples])
    velocity = np.stack([s.velocity for s in samples])
    v_max, a_max = robot.bound("max_velocity"), robot.bound("max_acceleration")
    share = (np.abs(velocity) / v_max).max(axis=1)
    worst = int(share.argmax())
    near = slice(max(0, worst - 4), worst + 5)
    assert share[worst] <= slack, (
        f"velocity is {share[worst]:.3f} of its limit; around it, of all joints: "
        f"{np.round(velocity[near], 3).tolist()} at {np.round(times[near] - times[worst], 4)} s"
    )
    period_ms = 1e3 * float(np.median(np.diff(times)))
    for span_ms in (30, 60):
        steps = round(span_ms / period_ms)
        if len(samples) <= steps:
            continue
        spans = (times[steps:] - times[:-steps])[:, None]
        used = np.abs(velocity[steps:] - velocity[:-steps]) / spans / a_max
        allowed = slack + JITTER / spans
        worst = int((used - allowed).max(axis=1).argmax())
        assert (used <= allowed).all(), (
            f"acceleration over {span_ms} ms is {used[worst].max():.3f} of its limit; "
            f"velocities of joint1 around it: "
            f"{np.round(velocity[max(0, worst - 5) : worst + 12, 0], 3)}"
        )


def reaction(samples: list[Sample], fault_ns: int, cruise: float) -> tuple[float, float]:
    """Return seconds from the fault to the first slowing down, and to rest.

    By the controller's own stamps, so that the way of its states to the test does not count.
    ``cruise`` is the speed of joint1 before the fault.
    """
    fault = (time.time_ns() - time.monotonic_ns() + fault_ns) * 1e-9
    slowed = [s.at for s in samples if abs(s.velocity[0]) < 0.95 * cruise]
    rest = [s.at for s in samples if np.abs(s.velocity).max() < 1e-3]
    assert slowed and rest, "the arm did not come to rest"
    return slowed[0] - fault, rest[0] - fault
