"""joint_command_publisher: the last node before the arm's controller."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
from sensor_msgs.msg import JointState
from vla_msgs.msg import CommandState, GateLease, LatencyTrace, SafeAction

from vla_command.core.checks import Bounds
from vla_command.core.commander import Commander
from vla_command.core.latency import LatencyBook
from vla_command.core.path import SafePath
from vla_command.core.shadow import ShadowBook
from vla_command.core.status import CODES, StatusBeat
from vla_command.core.trajectory import Sample, Trajectory
from vla_command.core.watchdog import Mode
from vla_command.graph_watch import NOT_LOOKED, GraphWatch
from vla_command.outputs import make_output
from vla_command.report import Report
from vla_common import qos
from vla_common.convert import doubles, trace_from_msg, trace_to_msg
from vla_common.core.clock import read_both
from vla_common.core.deadline import DeadlineLoop
from vla_common.core.stats import RateMeter, Window
from vla_common.core.trace import Trace
from vla_common.node import VlaNode, run

PRIORITY = 30  # SCHED_FIFO of the whole process
PERIOD_NS = 10_000_000  # 100 Hz: of the loop, at least; a streamed output has its own rate
GRAPH_PERIOD_NS = 250_000_000


def path_from_msg(message: SafeAction) -> SafePath:
    """Return the fields of a message, unchecked."""
    return SafePath(
        epoch=message.epoch,
        seq=message.seq,
        joint_names=tuple(message.joint_names),
        step_dt=message.step_dt,
        horizon=message.horizon,
        tail_start=message.tail_start,
        start_ns=message.start_ns,
        positions=np.array(message.positions, dtype=np.float64),
        velocities=np.array(message.velocities, dtype=np.float64),
        valid_until_ns=message.valid_until_ns,
        state=message.state,
        measured=message.measured,
        trace=trace_from_msg(message.trace),
    )


class CommandPublisher(VlaNode):
    """Follows the gate's verified paths; brings the arm to rest when the gate is lost.

    A path is sent on at once, in its callback: a hand-over to another thread costs more than the
    work. Other callbacks only store; the loop at 100 Hz does everything else.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("joint_command_publisher", **kwargs)
        self.commander: Commander | None = None
        self.loop: DeadlineLoop | None = None
        self.sent = RateMeter()
        self.margin_ms = Window(3000)
        self.latency = LatencyBook()
        self._inbox: deque[SafePath | tuple[int, int]] = deque(maxlen=256)
        self._lock = threading.Lock()
        self._problems: tuple[str, ...] = ()  # found by the graph loop, taken by the command loop
        self._beat = StatusBeat()
        self.shadow: ShadowBook | None = None  # in a dry run
        self._graph: DeadlineLoop | None = None
        self._entities: list[tuple[Any, Any]] = []

    def setup(self) -> None:
        """Create the publishers and subscriptions."""
        controller = self.robot.controller
        self.diagnostics.hardware_id = self.robot.identity.serial or socket.gethostname()
        self._output = make_output(controller.type, self.robot.joints, controller.stamped)
        self.topic = "~/shadow" if controller.dry_run else controller.topic
        self._publisher = self.create_publisher(self._output.message, self.topic, qos.COMMAND)
        self._states = self.create_publisher(CommandState, "/vla/command_state", qos.HEARTBEAT)
        self._state = CommandState()
        self._traces = self.create_publisher(LatencyTrace, "/vla/latency", qos.EVENTS)
        subscribe = self.create_subscription
        subscriptions = [
            subscribe(SafeAction, "/vla/safe_actions", self._on_action, qos.PLAN),
            subscribe(GateLease, "/vla/lease", self._on_lease, qos.HEARTBEAT),
        ]
        self.shadow = None
        if controller.dry_run:
            self.shadow = ShadowBook(self.robot)
            states, qos_ = controller.joint_states, qos.JOINT_STATES
            subscriptions.append(subscribe(JointState, states, self._on_joint_state, qos_))
        self._entities = [(self.destroy_subscription, s) for s in subscriptions]
        publishers = (self._publisher, self._states, self._traces)
        self._entities += [(self.destroy_publisher, p) for p in publishers]
        gate_topics = [subscription.topic_name for subscription in subscriptions[:2]]
        self.watch = GraphWatch(self, self._publisher.topic_name, self.robot, gate_topics)
        Report(self).add_to(self.diagnostics)

    def start(self) -> None:
        """Start the loops; motion waits for a fresh enable of the gate."""
        self._inbox.clear()
        self._problems = () if self.robot.controller.dry_run else NOT_LOOKED
        self._beat = StatusBeat()
        self.commander = Commander(
            Bounds.of(self.robot),
            round(self.robot.safety.lease_ms * 1e6),
            streamed=self._output.streamed,
        )
        period_ns = self.robot.controller.period_ns if self._output.streamed else PERIOD_NS
        self.loop = DeadlineLoop("command", min(period_ns, PERIOD_NS), self._work, self.fatal)
        self._graph = DeadlineLoop("graph", GRAPH_PERIOD_NS, self._watch_graph, self.fatal)
        self.loop.start()
        self._graph.start()
        self._graph.wake()  # the first look is at once

    def pause(self) -> None:
        """Let the verified tail bring the arm to rest, then stop the loops."""
        loop, commander, graph = self.loop, self.commander, self._graph
        self._graph = None
        if graph is not None:
            graph.stop()
        if loop is None or commander is None:
            return
        commander.finish()
        give_up_ns = time.monotonic_ns() + round(2e6 * self.robot.safety.max_horizon_ms)
        while loop.alive and not commander.resting(time.monotonic_ns() - PERIOD_NS):
            if time.monotonic_ns() > give_up_ns:
                break
            time.sleep(0.005)
        loop.stop()
        self.loop = None
        self._state.mode, self._state.cause = CommandState.WAITING, "deactivated"
        self._states.publish(self._state)

    def teardown(self) -> None:
        """Remove the publishers and subscriptions."""
        if self._entities:
            self.watch.destroy()
        for destroy, entity in self._entities:
            destroy(entity)
        self._entities = []

    # --- callbacks ----------------------------------------------------------------------------
    def _store(self, item: SafePath | tuple[int, int], act: bool) -> None:
        if self.loop is None:
            return
        self._inbox.append(item)
        if not act:
            return
        try:
            self._work(time.monotonic_ns(), 0)
        except Exception as error:  # an executor would end without a word
            self.fatal(error)

    def _on_action(self, message: SafeAction) -> None:
        self._store(path_from_msg(message), act=True)

    def _on_lease(self, message: GateLease) -> None:
        self._store((message.state, message.valid_until_ns), act=False)

    def _on_joint_state(self, message: JointState) -> None:
        """Compare, in a dry run, what the arm does with what it would be told."""
        shadow, commander, now_ns = self.shadow, self.commander, time.monotonic_ns()
        if shadow is None or commander is None or self.loop is None:
            return
        with self._lock:
            command = commander.command_at(now_ns)
        if command is not None:
            shadow.add(*command, message.name, message.position, now_ns)

    # --- loops --------------------------------------------------------------------------------
    def _work(self, now_ns: int, deadline_ns: int) -> None:
        with self._lock:
            self._move(time.monotonic_ns())

    def _move(self, now_ns: int) -> None:
        commander = self.commander
        assert commander is not None
        mode = commander.watchdog.mode
        item: Trajectory | Sample | None = None
        trace: Trace | None = None
        while self._inbox:
            stored = self._inbox.popleft()
            if isinstance(stored, SafePath):
                new = commander.on_path(stored, now_ns)
                item, trace = (new, stored.trace) if new is not None else (item, trace)
            else:
                if mode is Mode.FOLLOWING and stored[1]:
                    self.margin_ms.add(commander.watchdog.margin_ns(now_ns) * 1e-6)
                commander.on_gate(*stored, now_ns)
        if self._problems is not commander.watchdog.problems:
            commander.hold(self._problems, now_ns)
        ticked = commander.tick(now_ns)
        item = item if item is not None else ticked
        if item is not None:
            self._send(item, now_ns, trace)
        if self.loop is not None:
            self.loop.alarm_ns = commander.watchdog.due_ns
        self._tell(now_ns)
        if commander.watchdog.mode is not mode:
            self._changed(mode)

    def _send(self, item: Trajectory | Sample, now_ns: int, trace: Trace | None) -> None:
        ros_ns, mono_ns = read_both(self.now_ros_ns, time.monotonic_ns)
        stamp_ns = ros_ns - (mono_ns - now_ns)
        self._publisher.publish(self._output.build(item, stamp_ns))
        sent_ns = time.monotonic_ns()
        self.sent.add(sent_ns)
        if trace is not None and trace.capture_ns:
            trace = replace(trace, command_ns=sent_ns)
            self.latency.add(trace)
            self._traces.publish(trace_to_msg(trace))

    def _changed(self, before: Mode) -> None:
        """Log a change of mode; diagnostics follow at once."""
        assert self.commander is not None
        watchdog = self.commander.watchdog
        cause = f" ({watchdog.cause})" if watchdog.cause else ""
        self.get_logger().info(f"{before.value}, now {watchdog.mode.value}{cause}")
        self.diagnostics.changed()

    def _tell(self, now_ns: int) -> None:
        """Tell the gate how things stand, on change and at 50 Hz."""
        assert self.commander is not None
        commander, watchdog, message = self.commander, self.commander.watchdog, self._state
        if not self._beat.due(watchdog, commander.heard, commander.followed, now_ns):
            return
        message.header.stamp = self.get_clock().now().to_msg()
        message.mode = CODES[watchdog.mode]
        message.cause = watchdog.cause
        message.seq = commander.heard
        message.followed = commander.followed
        message.problems = watchdog.problems
        message.rest = doubles(commander.rest)
        self._states.publish(message)

    def _watch_graph(self, now_ns: int, deadline_ns: int) -> None:
        problems = self.watch.look(now_ns)
        if problems == self._problems:
            return
        for problem in problems:
            if not self._problems:  # at start there are some that are gone in a moment
                self.get_logger().error(f"nothing may move: {problem}")
            elif problem not in self._problems:
                self.get_logger().info(f"nothing may move: {problem}")
        self._problems = problems
        if self.loop is not None:
            self.loop.wake()
        self.diagnostics.changed()


def main() -> None:
    """Run joint_command_publisher."""
    sys.exit(run(lambda: [CommandPublisher()], priority=PRIORITY, control=True))


if __name__ == "__main__":
    main()
