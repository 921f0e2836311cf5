"""The observer: a ROS node in the runner's process that watches the graph.

It only listens, to small messages; images stay where they are. Callbacks store, on a thread of
the observer's own.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Log
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory
from vla_msgs.msg import ActionChunk, Instruction, LatencyTrace, SafetyState, TaskState
from vla_msgs.srv import ResetScene

from vla_bringup.core.recorder import Recorder, Safety, Task
from vla_common import qos
from vla_common.convert import trace_from_msg
from vla_common.core.robot import Robot

STATES = {
    getattr(SafetyState, name): name
    for name in ("INACTIVE", "READY", "ACTIVE", "SLOW", "HOLD", "STOPPING", "LATCHED")
}
WARN = 30


class Observer:
    """Owns the ROS context of the runner's process; ``close`` ends it."""

    def __init__(self, robot: Robot, name: str = "vla_observer") -> None:
        self.recorder = Recorder()
        self.on_task: Callable[[Task], None] = lambda task: None
        self.lock = threading.RLock()
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node(name, start_parameter_services=False, enable_rosout=False)
        self._instruction = self.node.create_publisher(Instruction, "/vla/instruction", qos.LATCHED)
        self._reset = self.node.create_client(ResetScene, "/sim_arm/reset")
        self._gate_stop = self.node.create_client(Trigger, "/safety_gate/stop")
        self._gate_reset = self.node.create_client(Trigger, "/safety_gate/reset")
        self._gate_enable = self.node.create_client(Trigger, "/safety_gate/enable")
        self._subscribe(robot)
        # Not the EventsExecutor: its shutdown from another thread can wait for ever.
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._spin, name="observer", daemon=True)
        self._thread.start()

    def _subscribe(self, robot: Robot) -> None:
        # The ROS daemon's own topic: transient local, as every node publishes it.
        rosout = QoSProfile(depth=50, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        listen = self.node.create_subscription
        listen(ActionChunk, "/vla/actions", self._locked(self._actions), qos.PLAN)
        listen(LatencyTrace, "/vla/latency", self._locked(self._latency), qos.EVENTS)
        listen(SafetyState, "/vla/safety_state", self._locked(self._safety), qos.LATCHED)
        listen(Instruction, "/vla/instruction", self._locked(self._told), qos.LATCHED)
        listen(TaskState, "/sim_arm/task_state", self._locked(self._task), qos.EVENTS)
        listen(DiagnosticArray, "/diagnostics", self._locked(self._diagnostics), qos.DIAGNOSTICS)
        listen(Log, "/rosout", self._locked(self._log), rosout)
        if robot.controller.type == "joint_trajectory":
            listen(
                JointTrajectory, robot.controller.topic, self._locked(self._trajectory), qos.COMMAND
            )

    def _locked(self, callback: Callable[[Any, int], None]) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            now_ns = time.monotonic_ns()
            with self.lock:
                callback(message, now_ns)

        return take

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            while not self._closing.is_set():
                self._executor.spin_once(timeout_sec=0.1)

    # --- callbacks ----------------------------------------------------------------------------
    def _actions(self, message: ActionChunk, now_ns: int) -> None:
        self.recorder.on_actions(message.trace.action_ns, now_ns)

    def _trajectory(self, message: JointTrajectory, now_ns: int) -> None:
        self.recorder.on_trajectory(now_ns)

    def _latency(self, message: LatencyTrace, now_ns: int) -> None:
        self.recorder.on_latency(trace_from_msg(message))

    def _safety(self, message: SafetyState, now_ns: int) -> None:
        safety = Safety(
            state=STATES.get(message.state, str(message.state)),
            cause=message.cause,
            blocked_by=tuple(message.reset_blocked_by),
            transitions=message.transitions,
            counts=dict(zip(message.reasons, (int(n) for n in message.counts))),
        )
        self.recorder.on_safety(safety, now_ns)

    def _told(self, message: Instruction, now_ns: int) -> None:
        self.recorder.instruction = message.text

    def _task(self, message: TaskState, now_ns: int) -> None:
        self.recorder.task = Task(
            seed=message.seed,
            target=message.target,
            distances=dict(zip(message.cubes, message.distances)),
            dwell=message.dwell,
            success=message.success,
            reached=message.reached,
            successes=message.successes,
            elapsed=message.elapsed,
        )
        self.on_task(self.recorder.task)

    def _diagnostics(self, message: DiagnosticArray, now_ns: int) -> None:
        for status in message.status:
            values = {v.key: v.value for v in status.values}
            level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
            self.recorder.on_diagnostic(status.name, level, status.message, values)

    def _log(self, message: Log, now_ns: int) -> None:
        if message.level >= WARN:
            first = message.msg.splitlines()[0] if message.msg else ""
            self.recorder.warnings.append(f"{message.name}: {first}")

    # --- asking -------------------------------------------------------------------------------
    def instruct(self, text: str) -> None:
        """Publish an instruction; it stays for nodes that start later."""
        message = Instruction(text=text)
        message.header.stamp = self.node.get_clock().now().to_msg()
        self._instruction.publish(message)

    def reset_scene(self, seed: int, timeout: float = 5.0) -> str:
        """Place the cubes anew; return why that was not done within ``timeout`` [s], else empty."""
        return self._call(self._reset, ResetScene.Request(seed=seed), timeout)

    def stop_gate(self, timeout: float = 2.0) -> str:
        """Stop a gate that lets plans pass; return why that was refused, else empty."""
        return self._call(self._gate_stop, Trigger.Request(), timeout)

    def rearm_gate(self, timeout: float = 2.0) -> str:
        """Reset a latched gate and enable it; return why that was refused, else empty."""
        refused = self._call(self._gate_reset, Trigger.Request(), timeout)
        enabled = self._call(self._gate_enable, Trigger.Request(), timeout)
        return f"{enabled} (reset: {refused or 'done'})" if enabled else ""

    def _call(self, client: Any, request: Any, timeout: float) -> str:
        if not client.wait_for_service(timeout):
            return f"{client.srv_name} is not there"
        done = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        if not done.wait(timeout):
            return f"{client.srv_name} does not answer"
        answer = future.result()
        return "" if answer.success else str(answer.message or "refused")

    def close(self) -> None:
        """Stop listening and give the ROS context back."""
        self._closing.set()
        self._thread.join(2.0)
        self._executor.shutdown(0.0)
        self.node.destroy_node()
        rclpy.try_shutdown()
