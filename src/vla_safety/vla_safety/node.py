"""safety_gate: the node between the plan and the arm."""

from __future__ import annotations

import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

from builtin_interfaces.msg import Time
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
    SystemHealth,
)

from vla_common import qos
from vla_common.core.deadline import DeadlineLoop
from vla_common.core.stats import Window
from vla_common.core.urdf import share_folders
from vla_common.node import VlaNode, run
from vla_safety.clearance_report import ClearanceReport
from vla_safety.core import clearance
from vla_safety.core.estop_source import OwnEstop
from vla_safety.core.gate import Gate
from vla_safety.core.values import Output
from vla_safety.messages import action_message, lease_message, raw_chunk, state_message
from vla_safety.report import GateReport

PRIORITY = 30  # SCHED_FIFO of the whole process
PERIOD_NS = 10_000_000  # 100 Hz: the lease, and the watching for silence; every other is a tick
CLOCK_PAIR_NS = 2_000_000  # two clock readings further apart than this are not compared
CLOCK_TRIES = 3
AUTO_ENABLE_NS = 1_000_000_000  # enable must be allowed for this long before auto_enable


class SafetyGate(VlaNode):
    """Lets plans through to the arm within limits, or holds it.

    Plans, e-stops and services act at once, in the callback: a hand-over to another thread costs
    more than the work. Joint states are stored. The loop watches what does not come; a lock keeps
    all of them apart.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("safety_gate", **kwargs)
        self.gate: Gate | None = None
        self.loop: DeadlineLoop | None = None
        self._estop: OwnEstop | None = None
        self.check_ms = Window(2048)
        self._lock = threading.Lock()
        self._inbox: deque[tuple[int, bool, Callable[..., Output], tuple[Any, ...]]] = deque(
            maxlen=64
        )
        self._entities: list[tuple[Any, Any]] = []
        self._blocked_ns = 0
        self._armed = False
        self._halfway = False  # between two ticks
        self._asked = False  # a service changed something: tick at once
        self._shown: tuple[int, BaseException | None] = (-1, None)

    def setup(self) -> None:
        """Check the limits, load the arm's model; create publishers, subscriptions, services."""
        checks = clearance.load(self.robot, share_folders())
        self.gate = gate = Gate(self.robot, checks)
        self._estop = OwnEstop(self.robot) if self.robot.safety.estop_plugin else None
        self.diagnostics.hardware_id = self.robot.identity.serial or socket.gethostname()
        self._actions = self.create_publisher(SafeAction, "/vla/safe_actions", qos.PLAN)
        self._leases = self.create_publisher(GateLease, "/vla/lease", qos.HEARTBEAT)
        self._states = self.create_publisher(SafetyState, "/vla/safety_state", qos.LATCHED)
        self._transitions = self.create_publisher(
            SafetyState, "/vla/safety_transitions", qos.TRANSITIONS
        )
        subscribe = self.create_subscription
        subscriptions = [
            subscribe(ActionChunk, "/vla/actions", self._on_chunk, qos.PLAN),
            subscribe(CommandState, "/vla/command_state", self._on_command_state, qos.HEARTBEAT),
            subscribe(EmergencyStop, "/vla/estop", self._on_estop, qos.MANY_HEARTBEATS),
            subscribe(CameraHealth, "/vla/camera_health", self._on_camera_health, qos.HEARTBEAT),
            subscribe(SystemHealth, "/vla/system_health", self._on_system_health, qos.HEARTBEAT),
            subscribe(
                JointState,
                self.robot.controller.joint_states,
                self._on_joint_state,
                qos.JOINT_STATES,
            ),
        ]
        services = [
            self.create_service(Trigger, f"~/{name}", self._service(name, call))
            for name, call in (
                ("reset", gate.reset),
                ("enable", gate.enable),
                ("stop", gate.stop),
                ("estop", gate.press),
            )
        ]
        self._entities = [(self.destroy_subscription, s) for s in subscriptions]
        self._entities += [(self.destroy_service, s) for s in services]
        publishers = (self._actions, self._leases, self._states, self._transitions)
        self._entities += [(self.destroy_publisher, p) for p in publishers]
        GateReport(gate, self.check_ms).add_to(self.diagnostics)
        ClearanceReport(gate).add_to(self.diagnostics)

    def start(self) -> None:
        """Start the loop; nothing moves until enabled."""
        self._inbox.clear()
        self._alarm_ns = 0
        self._armed, self._blocked_ns = False, time.monotonic_ns()
        if self.gate is not None:
            with self._lock:
                self.gate.estop.wait_anew(time.monotonic_ns())
        self.loop = DeadlineLoop("gate", PERIOD_NS, self._work, self.fatal)
        self.loop.start()
        if self._estop is not None and self.gate is not None:
            with self._lock:
                self.gate.estop.expect(self._estop.name, time.monotonic_ns())
            self._estop.start(self._on_own_estop, self.get_logger().error)

    def pause(self) -> None:
        """Stop the loop, then the arm."""
        if self._estop is not None:
            self._estop.stop()
        loop, self.loop = self.loop, None
        if loop is None or self.gate is None:
            return
        loop.stop()
        with self._lock:
            self._publish(self.gate.deactivate(time.monotonic_ns()), 0)

    def teardown(self) -> None:
        """Remove the publishers, subscriptions and services."""
        for destroy, entity in self._entities:
            destroy(entity)
        self._entities = []
        estop, self._estop = self._estop, None
        if estop is not None:
            estop.close()

    # --- callbacks ----------------------------------------------------------------------------
    def _store(self, act: bool, call: Callable[..., Output], *fields: Any) -> None:
        if self.loop is None:
            return
        now_ns = time.monotonic_ns()
        self._inbox.append((now_ns, act, call, fields))
        if not act:
            return
        try:
            self._work(now_ns, 0)
        except Exception as error:  # an executor would end without a word
            self.fatal(error)

    def _on_chunk(self, message: ActionChunk) -> None:
        assert self.gate is not None
        self._store(True, self.gate.on_chunk, raw_chunk(message))

    def _on_estop(self, message: EmergencyStop) -> None:
        assert self.gate is not None
        self._store(True, self.gate.on_estop, message.source, message.pressed)

    def _on_command_state(self, message: CommandState) -> None:
        assert self.gate is not None
        fields = (message.mode, message.cause, message.seq, message.problems)
        self._store(False, self.gate.on_command_state, *fields)
        self._store(False, self.gate.on_rest, message.rest)
        self._store(False, self.gate.on_followed, message.followed, message.seq)

    def _on_own_estop(self, pressed: bool) -> None:
        assert self.gate is not None
        self._store(True, self.gate.on_own_estop, pressed)

    def _on_camera_health(self, message: CameraHealth) -> None:
        assert self.gate is not None
        fields = (message.sent_ns, message.cameras, message.age_ms, message.repeated)
        self._store(False, self.gate.on_camera_health, *fields, message.dark, message.faults)

    def _on_system_health(self, message: SystemHealth) -> None:
        assert self.gate is not None
        fields = (message.sent_ns, message.throttled)
        self._store(False, self.gate.on_system_health, *fields)

    def _on_joint_state(self, message: JointState) -> None:
        assert self.gate is not None
        fields = (message.name, message.position, message.velocity)
        self._store(False, self.gate.on_joint_state, *fields)

    def _service(
        self, name: str, call: Callable[[int], tuple[bool, str]]
    ) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
        def serve(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            loop = self.loop
            if loop is None:
                response.success, response.message = False, "refused: safety_gate is not active"
                return response
            with self._lock:
                try:
                    self._drain()  # a heartbeat that came before the call counts for it
                    response.success, response.message = call(time.monotonic_ns())
                except Exception as error:
                    self._failed(error)
                    response.success, response.message = False, f"internal error: {error!r}"
                self._asked = True
            loop.wake()
            self.get_logger().info(f"{name}: {response.message}")
            return response

        return serve

    # --- loop ---------------------------------------------------------------------------------
    def _work(self, now_ns: int, deadline_ns: int) -> None:
        gate = self.gate
        assert gate is not None
        with self._lock:
            try:
                self._drain()
                if deadline_ns:
                    self._halfway = not self._halfway
                if self._asked or (deadline_ns and not self._halfway):
                    self._asked = False
                    self._arm(gate, now_ns)
                    self._publish(gate.tick(*self._clocks()), 0)
                elif deadline_ns or 0 < self._alarm_ns <= now_ns:
                    self._publish(gate.watch(*self._clocks()), 0)
                self._alarm_ns = gate.due_ns(time.monotonic_ns())
            except Exception as error:
                self._failed(error)
        if self.loop is not None:
            self.loop.alarm_ns = self._alarm_ns
        self._tell(gate)

    def _failed(self, error: Exception) -> None:
        """Latch because of a bug outside the core, and let the tail run out."""
        assert self.gate is not None
        self._publish(self.gate.internal_error(error, time.monotonic_ns()), 0)

    def _drain(self) -> None:
        while self._inbox:
            received_ns, act, call, fields = self._inbox.popleft()
            now_ns = time.monotonic_ns() if act else received_ns
            self._publish(call(*fields, now_ns), received_ns)

    def _arm(self, gate: Gate, now_ns: int) -> None:
        """Arm the gate, that is auto_enable, once nothing has forbidden it for a while.

        The wait lets the publisher and the controller find each other: a controller that misses
        the beginning of a path steps into its middle.
        """
        if self._armed:
            return
        if gate.enable_blocked_by(now_ns):
            self._blocked_ns = now_ns
        elif now_ns - self._blocked_ns >= AUTO_ENABLE_NS:
            self._armed = True
            gate.activate(now_ns)

    def _clocks(self) -> tuple[int, int | None]:
        """Return monotonic and ROS time; None where preemptions came in between."""
        for _ in range(CLOCK_TRIES):
            before_ns = time.monotonic_ns()
            ros_ns = self.now_ros_ns()
            now_ns = time.monotonic_ns()
            if now_ns - before_ns < CLOCK_PAIR_NS:
                return now_ns, ros_ns
        return now_ns, None

    # --- messages -----------------------------------------------------------------------------
    def _publish(self, output: Output, received_ns: int) -> None:
        if output.action is not None:
            self._actions.publish(action_message(output.action, self.robot.joints, received_ns))
            if received_ns:
                self.check_ms.add((time.monotonic_ns() - received_ns) * 1e-6)
        if output.lease is not None:
            self._leases.publish(lease_message(output.lease, self._stamp()))
        for change in output.changes:
            self._transitions.publish(state_message(change, self._stamp()))
        if output.report is not None:
            self._states.publish(state_message(output.report, self._stamp()))

    def _stamp(self) -> Time:
        return self.get_clock().now().to_msg()

    def _tell(self, gate: Gate) -> None:
        """Log a change of state and a bug, once each; diagnostics follow at once."""
        shown = (gate.machine.transitions, gate.last_error)
        if shown == self._shown:
            return
        error = gate.last_error if gate.last_error is not self._shown[1] else None
        self._shown = shown
        cause = f" ({gate.machine.cause})" if gate.machine.cause else ""
        self.get_logger().info(f"state {gate.state.name}{cause}")
        if error is not None:
            text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            self.get_logger().error(f"internal error, latched: {error!r}\n{text}")
        self.diagnostics.changed()


def main() -> None:
    """Run safety_gate."""
    sys.exit(run(lambda: [SafetyGate()], priority=PRIORITY, control=True))


if __name__ == "__main__":
    main()
