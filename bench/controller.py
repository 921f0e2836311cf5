"""The controller's side of the benchmark: takes trajectories, and writes down what arrived when.

Says "first command" when that came. Lines of the log: ``trajectory <arrival_ns> <stamp_ns>`` for
each command received; ``latency`` and the ten times of the trace for each message on /vla/latency;
``state <arrival_ns> <state> <cause>`` for each message on /vla/safety_state; ``diagnostic`` and a
JSON object for each status on /diagnostics.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
import time
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from trajectory_msgs.msg import JointTrajectory
from vla_msgs.msg import LatencyTrace, SafetyState

TRACE = tuple(LatencyTrace.get_fields_and_field_types())


class Sink(Node):
    """Subscribes to the commands and to what is told about them."""

    def __init__(self) -> None:
        super().__init__("bench_controller")
        self.lines: list[str] = []
        self._moving = False
        topic = "/joint_trajectory_controller/joint_trajectory"
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(JointTrajectory, topic, self._trajectory, 10)
        self.create_subscription(LatencyTrace, "/vla/latency", self._latency, 10)
        self.create_subscription(SafetyState, "/vla/safety_state", self._state, latched)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._diagnostics, 10)

    def _trajectory(self, message: JointTrajectory) -> None:
        arrival_ns = time.monotonic_ns()
        if not self._moving:
            self._moving = True
            print("first command", flush=True)
        sent = message.header.stamp
        self.lines.append(f"trajectory {arrival_ns} {sent.sec * 1_000_000_000 + sent.nanosec}")

    def _latency(self, message: LatencyTrace) -> None:
        self.lines.append("latency " + " ".join(str(getattr(message, name)) for name in TRACE))

    def _state(self, message: SafetyState) -> None:
        self.lines.append(f"state {time.monotonic_ns()} {message.state} {message.cause}")

    def _diagnostics(self, message: DiagnosticArray) -> None:
        at_ns = time.monotonic_ns()
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            line = {
                "at_ns": at_ns,
                "name": status.name,
                "message": status.message,
                "values": values,
            }
            self.lines.append("diagnostic " + json.dumps(line))


def main() -> None:
    """Receive until SIGINT or SIGTERM, then write the log."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--log", type=Path, required=True)
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    sink = Sink()
    executor = SingleThreadedExecutor()
    executor.add_node(sink)
    while not stop.is_set():
        executor.spin_once(timeout_sec=0.2)
    options.log.write_text("".join(line + "\n" for line in sink.lines))
    sink.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
