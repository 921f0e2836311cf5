"""Load, memory, disk, network and the memory trend of our processes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from vla_monitor.core.level import ERROR, OK, WARN, Level
from vla_monitor.core.trend import Trend

MB = 1e6
LOAD_WARN = 0.90
FREE_ERROR_MB = 512.0
DISK_WARN_MB = 1024.0
SLOPE_WARN_MB_H = 50.0  # told only when it lasted LEAK_S
LEAK_S = 300.0
RESCAN_NS = 10_000_000_000
OURS = re.compile(r"(^|[/.])vla_[a-z]+([/.]|$)")


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """One process of ours: resident memory, its slope (NaN: too early), CPU 0..cores."""

    name: str
    pid: int
    rss_mb: float
    slope_mb_h: float
    covered_s: float
    cpu: float


@dataclass(frozen=True, slots=True)
class SystemReading:
    """The computer at one moment. Rates are since the reading before [MB/s]."""

    load: float  # 0..1 of all cores since the reading before
    load_average: float  # of one minute, in runnable tasks
    cores: int
    free_mb: float
    total_mb: float
    swap_used_mb: float
    disk_free_mb: float
    received_mb_s: float
    sent_mb_s: float
    processes: tuple[ProcessReading, ...]


def label(command: list[str]) -> str | None:
    """Return a short name for a process of ours by its command line, None for others."""
    for i, part in enumerate(command[:4]):
        if OURS.search(part):
            module = i > 0 and command[i - 1] == "-m"
            return part.split(".")[0] if module else os.path.basename(part)
    return None


def judge(reading: SystemReading) -> tuple[Level, str]:
    """Return level and message."""
    if reading.free_mb < FREE_ERROR_MB:
        return ERROR, f"only {reading.free_mb:.0f} MB of memory are free"
    if reading.load > LOAD_WARN:
        return WARN, f"CPU load {reading.load * 100:.0f} %"
    if reading.disk_free_mb < DISK_WARN_MB:
        return WARN, f"only {reading.disk_free_mb:.0f} MB of disk are free"
    for process in reading.processes:
        if process.covered_s >= LEAK_S and process.slope_mb_h > SLOPE_WARN_MB_H:
            return WARN, f"{process.name} grows by {process.slope_mb_h:.0f} MB/h"
    return OK, f"CPU load {reading.load * 100:.0f} %"


class SystemProbe:
    """Reads the computer through psutil; remembers what rates and slopes need."""

    def __init__(self, disk: str = "/") -> None:
        self._disk = disk
        self._network: tuple[int, float, float] | None = None
        self._known: dict[int, tuple[psutil.Process, str, Trend]] = {}
        self._scanned_ns = 0
        psutil.cpu_percent(None)

    def read(self, now_ns: int) -> SystemReading:
        """Return the reading at ``now_ns`` (CLOCK_MONOTONIC)."""
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        received, sent = self._rates(now_ns)
        return SystemReading(
            load=psutil.cpu_percent(None) / 100.0,
            load_average=psutil.getloadavg()[0],
            cores=psutil.cpu_count() or 1,
            free_mb=memory.available / MB,
            total_mb=memory.total / MB,
            swap_used_mb=swap.used / MB,
            disk_free_mb=psutil.disk_usage(self._disk).free / MB,
            received_mb_s=received,
            sent_mb_s=sent,
            processes=tuple(self._processes(now_ns)),
        )

    def _rates(self, now_ns: int) -> tuple[float, float]:
        counters = psutil.net_io_counters()
        if counters is None:
            return float("nan"), float("nan")
        before = self._network
        self._network = (now_ns, counters.bytes_recv, counters.bytes_sent)
        if before is None or now_ns <= before[0]:
            return 0.0, 0.0
        seconds = (now_ns - before[0]) * 1e-9
        received, sent = counters.bytes_recv - before[1], counters.bytes_sent - before[2]
        return received / seconds / MB, sent / seconds / MB

    def _rescan(self, now_ns: int) -> None:
        self._scanned_ns = now_ns
        for process in psutil.process_iter():
            if process.pid in self._known:
                continue
            try:
                name = label(process.cmdline())
            except psutil.Error:
                continue
            if name is not None:
                self._known[process.pid] = (process, name, Trend())
                process.cpu_percent(None)

    def _processes(self, now_ns: int) -> Iterable[ProcessReading]:
        if not self._scanned_ns or now_ns - self._scanned_ns >= RESCAN_NS:
            self._rescan(now_ns)
        for pid, (process, name, trend) in list(self._known.items()):
            try:
                rss = process.memory_info().rss / MB
                cpu = process.cpu_percent(None) / 100.0
            except psutil.Error:
                del self._known[pid]
                continue
            trend.add(now_ns, rss)
            yield ProcessReading(name, pid, rss, trend.slope() * 3600.0, trend.covered_s, cpu)
