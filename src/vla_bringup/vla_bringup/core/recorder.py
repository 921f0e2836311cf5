"""What is seen of a running graph, as plain values: for the live view and the report.

The observer feeds it from ROS; nothing here knows ROS, and time is passed in.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from vla_common.core.stats import RateMeter, Summary, Window
from vla_common.core.trace import STAGES, Trace, stages_ms

LONG = 20 * 3600
"""Values kept for the report: an hour at 20 Hz."""
SHORT = 200
"""Values kept for the live view: ten seconds at 20 Hz."""


class Stream:
    """Rate and period of one periodic message, by the time it was sent."""

    def __init__(self) -> None:
        self.meter = RateMeter(SHORT)
        self.period_ms = Window(LONG)
        self.recent_ms = Window(SHORT)
        self.first_ns = 0
        self.last_ns = 0
        self.count = 0

    def add(self, sent_ns: int) -> None:
        """Note a message sent at ``sent_ns``; one that is not newer than the last is ignored."""
        if sent_ns <= self.last_ns:
            return
        if self.count:
            period = (sent_ns - self.last_ns) * 1e-6
            self.period_ms.add(period)
            self.recent_ms.add(period)
        else:
            self.first_ns = sent_ns
        self.last_ns = sent_ns
        self.count += 1
        self.meter.add(sent_ns)

    def mean_rate(self) -> float:
        """Return messages per second between the first and the last one; NaN before the second."""
        if self.count < 2:
            return math.nan
        return (self.count - 1) * 1e9 / (self.last_ns - self.first_ns)


@dataclass(frozen=True)
class Safety:
    """The gate's state, as last told."""

    state: str = "unknown"
    cause: str = ""
    blocked_by: tuple[str, ...] = ()
    transitions: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """State of the simulated task. Distances in [m], times in [s]."""

    seed: int = 0
    target: str = ""
    distances: Mapping[str, float] = field(default_factory=dict)
    dwell: float = 0.0
    success: bool = False
    reached: str = ""
    successes: int = 0
    elapsed: float = 0.0


class Recorder:
    """Everything seen since the start; not thread safe."""

    def __init__(self) -> None:
        self.actions = Stream()
        self.trajectories = Stream()
        self.actions_seen = Stream()
        self.trajectories_seen = Stream()
        self.latency = {name: Window(LONG) for name in STAGES}
        self.recent_latency = {name: Window(SHORT) for name in STAGES}
        self.safety: Safety | None = None
        self.state_changes: list[tuple[int, str, str]] = []
        self.task: Task | None = None
        self.instruction = ""
        self.cameras: dict[str, float] = {}
        self.model: dict[str, str] = {}
        self.levels: dict[str, tuple[int, str]] = {}
        self.publisher = ("", "")
        self.warnings: deque[str] = deque(maxlen=4)

    def on_actions(self, sent_ns: int, now_ns: int) -> None:
        """Take the send time of a plan (0: unknown) and when it was seen [ns]."""
        self.actions.add(sent_ns or now_ns)
        self.actions_seen.add(now_ns)

    def on_trajectory(self, now_ns: int) -> None:
        """Take the time at which a command to the controller was seen [ns]."""
        self.trajectories_seen.add(now_ns)

    def on_latency(self, trace: Trace) -> None:
        """Take the way of one observation up to the command."""
        if trace.command_ns:
            self.trajectories.add(trace.command_ns)
        for name, spent_ms in stages_ms(trace).items():
            self.latency[name].add(spent_ms)
            self.recent_latency[name].add(spent_ms)

    def on_safety(self, safety: Safety, now_ns: int) -> None:
        """Take the gate's state."""
        if self.safety is None or safety.state != self.safety.state:
            self.state_changes.append((now_ns, safety.state, safety.cause))
        self.safety = safety

    def on_diagnostic(self, name: str, level: int, message: str, values: Mapping[str, str]) -> None:
        """Take one diagnostic status."""
        self.levels[name] = (level, message)
        if name.startswith("camera_ingest: ") and name.endswith(" topic") and "rate" in values:
            camera = name.removeprefix("camera_ingest: ").removesuffix(" topic")
            self.cameras[camera] = _number(values["rate"])
        elif name == "joint_command_publisher: Loop":
            self.publisher = (values.get("State", ""), values.get("Cause", ""))
        elif name == "vla_inference: Model":
            self.model = dict(values)
        elif name == "vla_inference: Inference" and values.get("Instruction"):
            self.instruction = values["Instruction"]

    def publisher_stands(self) -> bool:
        """Return whether the publisher latched: it moves only after stop, reset and enable."""
        return self.publisher[0] == "latched"

    def faults(self) -> dict[str, tuple[int, str]]:
        """Return the diagnostics that are not OK: name -> (level, message)."""
        return {name: found for name, found in self.levels.items() if found[0] > 0}


def summary_dict(summary: Summary, digits: int = 3) -> dict[str, float | int | None]:
    """Return a summary for JSON: NaN, which JSON does not have, becomes null."""

    def value(x: float) -> float | None:
        return round(x, digits) if math.isfinite(x) else None

    return {
        "count": summary.count,
        "mean": value(summary.mean),
        "p50": value(summary.p50),
        "p95": value(summary.p95),
        "p99": value(summary.p99),
        "max": value(summary.max),
    }


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
