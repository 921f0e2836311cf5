"""system_monitor: health of the GPU, the computer, its clock and the nodes."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import GetState
from vla_msgs.msg import SystemHealth

from vla_common import qos
from vla_common.convert import ns_to_stamp
from vla_common.core.clock import read_both
from vla_common.core.deadline import DeadlineLoop
from vla_common.node import VlaNode, run
from vla_monitor.core import clock
from vla_monitor.core.gpu import GpuProbe, NoGpuError, default_probe, throttled
from vla_monitor.core.nodes import NodeWatch
from vla_monitor.core.system import SystemProbe
from vla_monitor.report import Report, Samples

PERIOD_NS = 1_000_000_000
ASK_EVERY = 3  # samples between two questions for the lifecycle states
NODES = [
    "camera_ingest", "feature_cache", "vla_inference", "safety_gate", "joint_command_publisher",
]  # fmt: skip


class SystemMonitor(VlaNode):
    """Samples once a second on a thread of its own; the diagnostic tasks tell the newest sample.

    Why clocks are lowered goes to /vla/system_health after every sample, and the gate slows down.
    """

    def __init__(self, probe: Callable[[], GpuProbe] = default_probe, **kwargs: Any) -> None:
        super().__init__("system_monitor", **kwargs)
        self.samples = Samples()
        self._make_probe = probe
        self._gpu_probe: GpuProbe | None = None
        self._loop: DeadlineLoop | None = None
        self._heard: dict[str, int] = {}
        self._states: dict[str, str] = {}
        self._asked: dict[str, Any] = {}
        self._askers: dict[str, Any] = {}
        self._subscription: Any = None
        self._count = 0

    def setup(self) -> None:
        """Find the GPU; watch the diagnostics of the others."""
        expected = tuple(self.own("nodes", NODES, "nodes whose silence is an error"))
        disk = str(self.own("disk", "/", "a path on the disk that is watched"))
        report = Report(self.samples)
        try:
            self._gpu_probe = self._make_probe()
        except NoGpuError as error:
            self.samples.failures["GPU"] = str(error)
        self._system_probe = SystemProbe(disk)
        self._clock_watch = clock.ClockWatch()
        self._node_watch = NodeWatch(expected, time.monotonic_ns())
        self._subscription = self.create_subscription(
            DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.DIAGNOSTICS
        )
        self._health = self.create_publisher(SystemHealth, "/vla/system_health", qos.HEARTBEAT)
        self._askers = {n: self.create_client(GetState, f"/{n}/get_state") for n in expected}
        for name, task in (
            ("GPU", report.gpu), ("CPU and memory", report.system), ("Clock", report.clock),
            ("Nodes", report.nodes),
        ):  # fmt: skip
            self.diagnostics.add(name, task)

    def start(self) -> None:
        """Start sampling."""
        self._loop = DeadlineLoop("system_monitor", PERIOD_NS, self._sample, self.fatal)
        self._loop.start()

    def pause(self) -> None:
        """Stop sampling."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.stop()

    def teardown(self) -> None:
        """Release what setup took."""
        gpu, self._gpu_probe = self._gpu_probe, None
        if gpu is not None:
            gpu.close()
        for client in self._askers.values():
            self.destroy_client(client)
        self._askers = {}
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
            self.destroy_publisher(self._health)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        now_ns = time.monotonic_ns()
        for status in message.status:
            name, found, _ = status.name.partition(":")
            if found and "/" not in name and name != self.get_name():
                self._heard[name.strip()] = now_ns

    # --- sampling -----------------------------------------------------------------------------
    def _sample(self, now_ns: int, deadline_ns: int) -> None:
        steps = [
            ("CPU and memory", self._sample_system), ("Clock", self._sample_clock),
            ("Nodes", self._sample_nodes), ("GPU", self._sample_gpu),
        ]  # fmt: skip
        for name, step in steps:
            if name == "GPU" and self._gpu_probe is None:
                continue
            try:
                step(now_ns)
                self.samples.failures.pop(name, None)
            except Exception as error:  # one sensor that fails is told, the others go on
                self.samples.failures[name] = f"cannot be read: {error!r}"
        self._count += 1
        self._tell()

    def _tell(self) -> None:
        """Publish why clocks are lowered; GPUs that cannot be read are not known to be."""
        message = SystemHealth(sent_ns=time.monotonic_ns())
        message.header.stamp = ns_to_stamp(self.now_ros_ns())
        if "GPU" not in self.samples.failures:
            message.throttled = throttled(self.samples.gpus)
        self._health.publish(message)

    def _sample_gpu(self, now_ns: int) -> None:
        assert self._gpu_probe is not None
        self.samples.gpus = list(self._gpu_probe.read())

    def _sample_system(self, now_ns: int) -> None:
        self.samples.system = self._system_probe.read(now_ns)

    def _sample_clock(self, now_ns: int) -> None:
        both = read_both(self.now_ros_ns, time.monotonic_ns)
        self.samples.clock = self._clock_watch.update(*both)
        self.samples.synchronised = clock.synchronised()

    def _sample_nodes(self, now_ns: int) -> None:
        for name, heard_ns in list(self._heard.items()):
            self._node_watch.heard(name, heard_ns)
        ids: dict[str, set[bytes]] = defaultdict(set)
        for info in self.get_publishers_info_by_topic("/diagnostics"):
            # an endpoint can be known a little before its node is
            if info.node_name not in (self.get_name(), "_NODE_NAME_UNKNOWN_"):
                ids[info.node_name].add(bytes(info.endpoint_gid))
        self._node_watch.endpoints(ids, now_ns)
        if self._count % ASK_EVERY == 0:
            self._ask_states()
        self._node_watch.states(dict(self._states))
        self.samples.nodes = self._node_watch.read(now_ns)

    def _ask_states(self) -> None:
        for name, client in self._askers.items():
            pending = self._asked.pop(name, None)
            if pending is not None and not pending.done():
                client.remove_pending_request(pending)
                self._states[name] = "no answer"
            if not client.service_is_ready():
                continue
            future = client.call_async(GetState.Request())
            future.add_done_callback(lambda f, name=name: self._take_state(name, f))
            self._asked[name] = future

    def _take_state(self, name: str, future: Any) -> None:
        answer = future.result() if not future.cancelled() else None
        if answer is not None:
            self._states[name] = answer.current_state.label


def main() -> None:
    """Run system_monitor."""
    sys.exit(run(lambda: [SystemMonitor()], control=True))


if __name__ == "__main__":
    main()
