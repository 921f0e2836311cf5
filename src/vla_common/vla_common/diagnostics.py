"""Diagnostics of a node, written for diagnostic_updater's task API.

diagnostic_updater's own Updater runs on the node's executor, publishes with depth 1, and a task
that throws ends the node. Here the tasks are the same callables ``task(stat) -> stat``, but they
run on a thread of their own, each wrapped, and a level that changes is published at once.
"""

from __future__ import annotations

import socket
import threading
import traceback
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from vla_common.qos import DIAGNOSTICS

try:
    from diagnostic_updater import DiagnosticStatusWrapper
except ImportError:

    class DiagnosticStatusWrapper(DiagnosticStatus):  # type: ignore[no-redef]
        """The part of diagnostic_updater's wrapper that tasks use, for where it is missing."""

        def summary(self, *args: Any) -> None:
            """Set level and message."""
            self.level, self.message = args

        def add(self, key: str, value: str) -> None:
            """Append a key and its value."""
            self.values.append(KeyValue(key=str(key), value=str(value)))


OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
    DiagnosticStatus.STALE,
)
Task = Callable[[Any], Any]


def number(value: float, digits: int = 3) -> str:
    """Return a plain number for a diagnostics value."""
    return f"{value:.{digits}f}"


class Diagnostics:
    """Runs a node's diagnostic tasks at ``period`` [s] and when told that something changed."""

    def __init__(self, node: Node, period: float = 1.0, poll: float = 0.1) -> None:
        self.hardware_id = socket.gethostname()
        self._node_name = node.get_name()
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", DIAGNOSTICS)
        self._tasks: dict[str, tuple[Task, str | None]] = {}
        self._levels: dict[str, bytes] = {}
        self._period, self._poll = period, poll
        self._changed = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"{self._node_name}_diagnostics", daemon=True
        )

    def add(self, name: str, task: Task, hardware_id: str | None = None) -> None:
        """Add a task; it is shown as ``<node>: <name>``. A second of the same name replaces it."""
        self._tasks[name] = (task, hardware_id)
        if not self._thread.is_alive() and not self._stopped.is_set():
            self._thread.start()

    def changed(self) -> None:
        """Publish soon, without waiting for the period."""
        self._changed.set()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def collect(self) -> list[DiagnosticStatus]:
        """Run all tasks; one that throws becomes an ERROR that says what it threw."""
        statuses = []
        for name, (task, hardware_id) in list(self._tasks.items()):
            stat = DiagnosticStatusWrapper()
            stat.name = f"{self._node_name}: {name}"
            stat.hardware_id = hardware_id if hardware_id is not None else self.hardware_id
            try:
                stat = task(stat) or stat
            except Exception as error:
                stat.summary(ERROR, f"the diagnostic itself failed: {error!r}")
                stat.add("Traceback", traceback.format_exc(limit=3))
            statuses.append(stat)
        return statuses

    def _run(self) -> None:
        waited = self._period
        while not self._stopped.is_set():
            statuses = self.collect()
            levels = {s.name: s.level for s in statuses}
            if waited >= self._period or levels != self._levels or self._changed.is_set():
                self._changed.clear()
                waited = 0.0
                self._levels = levels
                self._publish(statuses)
            self._changed.wait(self._poll)
            waited += self._poll

    def _publish(self, statuses: list[DiagnosticStatus]) -> None:
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.status = [
            DiagnosticStatus(
                level=s.level,
                name=s.name,
                message=s.message,
                hardware_id=s.hardware_id,
                values=list(s.values),
            )
            for s in statuses
        ]
        try:
            self._publisher.publish(message)
        except Exception:  # the context is gone: the node is being shut down
            self._stopped.set()
