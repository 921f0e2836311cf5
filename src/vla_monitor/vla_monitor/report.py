"""Diagnostics of system_monitor: what the newest sample says, in the words of the page."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from vla_common.diagnostics import number
from vla_monitor.core import clock, gpu, nodes, system
from vla_monitor.core.level import ERROR, OK, WARN, Level

GB = 1e9


@dataclass
class Samples:
    """The newest readings; a text in ``failures`` says why one is missing."""

    gpus: list[gpu.GpuReading] = field(default_factory=list)
    system: system.SystemReading | None = None
    clock: clock.ClockReading | None = None
    nodes: list[nodes.NodeReading] = field(default_factory=list)
    synchronised: str = "unknown"
    failures: dict[str, str] = field(default_factory=dict)


def _say(stat: Any, level: Level, message: str) -> None:
    stat.summary(bytes([level]), message)


def _missing(stat: Any, samples: Samples, name: str) -> Any:
    _say(stat, WARN, samples.failures.get(name, "no sample yet"))
    return stat


def _add(stat: Any, items: Iterable[tuple[str, float, int]]) -> None:
    for key, value, digits in items:
        stat.add(key, "unknown" if math.isnan(value) else number(value, digits))


class Report:
    """The diagnostic tasks; they only read ``samples``."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def gpu(self, stat: Any) -> Any:
        """Tell load, memory, temperatures, clocks, power and throttling of every GPU."""
        readings = self._samples.gpus
        if not readings or "GPU" in self._samples.failures:
            return _missing(stat, self._samples, "GPU")
        level, message = max((gpu.judge(r) for r in readings), key=lambda pair: pair[0])
        _say(stat, level, message)
        for i, reading in enumerate(readings):
            prefix = f"GPU {i} " if len(readings) > 1 else ""
            stat.add(f"{prefix}Name", reading.name)
            _add(stat, [
                (f"{prefix}Load (%)", reading.load * 100.0, 0),
                (f"{prefix}Memory used (GB)", reading.memory_used / GB, 2),
                (f"{prefix}Memory total (GB)", reading.memory_total / GB, 2),
                (f"{prefix}Clock (MHz)", reading.clock_mhz, 0),
                (f"{prefix}Clock max (MHz)", reading.clock_max_mhz, 0),
                (f"{prefix}Power (W)", reading.power, 1),
            ])  # fmt: skip
            for zone in reading.zones:
                _add(stat, [(f"{prefix}{zone.name} (C)", zone.celsius, 1)])
                _add(stat, [(f"{prefix}{zone.name} trip (C)", zone.trip, 1)])
            stat.add(f"{prefix}Throttle reasons", ", ".join(reading.throttle) or "none")
            stat.add(f"{prefix}Clock limits", ", ".join(reading.limits) or "none")
            stat.add(f"{prefix}Unreadable", "; ".join(reading.problems) or "nothing")
        return stat

    def system(self, stat: Any) -> Any:
        """Tell CPU, memory, disk, network, and the memory trend of our processes."""
        reading = self._samples.system
        if reading is None or "CPU and memory" in self._samples.failures:
            return _missing(stat, self._samples, "CPU and memory")
        _say(stat, *system.judge(reading))
        _add(stat, [
            ("Load (%)", reading.load * 100.0, 0),
            ("Load average (1 min)", reading.load_average, 2),
            ("Cores", reading.cores, 0),
            ("Free (MB)", reading.free_mb, 0),
            ("Total (MB)", reading.total_mb, 0),
            ("Swap used (MB)", reading.swap_used_mb, 0),
            ("Disk free (MB)", reading.disk_free_mb, 0),
            ("Network received (MB/s)", reading.received_mb_s, 3),
            ("Network sent (MB/s)", reading.sent_mb_s, 3),
        ])  # fmt: skip
        for process in reading.processes:
            name = f"{process.name} ({process.pid})"
            _add(stat, [
                (f"{name} CPU (%)", process.cpu * 100.0, 0),
                (f"{name} RSS (MB)", process.rss_mb, 1),
                (f"{name} RSS slope (MB/h)", process.slope_mb_h, 1),
            ])  # fmt: skip
        return stat

    def clock(self, stat: Any) -> Any:
        """Tell how ROS time and CLOCK_MONOTONIC went apart."""
        reading = self._samples.clock
        if reading is None or "Clock" in self._samples.failures:
            return _missing(stat, self._samples, "Clock")
        _say(stat, *clock.judge(reading))
        _add(stat, [
            ("Offset (ms)", reading.offset_ms, 3),
            ("Steps", reading.steps, 0),
            ("Last step (ms)", reading.last_step_ms, 1),
        ])  # fmt: skip
        stat.add("Synchronised by NTP", self._samples.synchronised)
        return stat

    def nodes(self, stat: Any) -> Any:
        """Tell state, age of the last diagnostics and restarts of every node."""
        readings = self._samples.nodes
        if not readings or "Nodes" in self._samples.failures:
            return _missing(stat, self._samples, "Nodes")
        _say(stat, *nodes.judge(readings))
        for reading in readings:
            age = "never" if math.isinf(reading.age_s) else number(reading.age_s, 1)
            stat.add(f"{reading.name} state", reading.state)
            stat.add(f"{reading.name} heartbeat age (s)", age)
            stat.add(f"{reading.name} restarts", str(reading.restarts))
        return stat


__all__ = ["ERROR", "OK", "WARN", "Report", "Samples"]
