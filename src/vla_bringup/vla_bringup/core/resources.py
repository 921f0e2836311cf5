"""CPU and memory of the graph's processes, and what machine it is."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass

import psutil


@dataclass
class Usage:
    """Of one process, over all its restarts. Memory in bytes, CPU in percent of one core."""

    rss: int = 0
    rss_max: int = 0
    cpu: float = 0.0
    cpu_total: float = 0.0
    samples: int = 0

    def mean_cpu(self) -> float:
        """Return the mean of the samples [% of one core]."""
        return self.cpu_total / self.samples if self.samples else 0.0


class ResourceMeter:
    """Samples processes by name; call it about once a second."""

    def __init__(self) -> None:
        self.usage: dict[str, Usage] = {}
        self.rss_sum_max = 0
        self._processes: dict[str, psutil.Process] = {}

    def sample(self, pids: Mapping[str, int]) -> None:
        """Read the processes ``name -> pid``; one that is gone counts as zero now."""
        for name, pid in pids.items():
            usage = self.usage.setdefault(name, Usage())
            known = self._processes.get(name)
            try:
                if known is None or known.pid != pid:
                    known = self._processes[name] = psutil.Process(pid)
                    known.cpu_percent(None)  # the first reading has nothing to compare with
                    usage.rss = known.memory_info().rss
                else:
                    usage.cpu = known.cpu_percent(None)
                    usage.rss = known.memory_info().rss
                    usage.cpu_total += usage.cpu
                    usage.samples += 1
            except psutil.Error:
                usage.rss, usage.cpu = 0, 0.0
            usage.rss_max = max(usage.rss_max, usage.rss)
        for name in self.usage.keys() - pids.keys():
            self.usage[name].rss, self.usage[name].cpu = 0, 0.0
        self.rss_sum_max = max(self.rss_sum_max, self.rss_sum())

    def rss_sum(self) -> int:
        """Return the memory of all processes now [bytes]; shared pages count in each."""
        return sum(u.rss for u in self.usage.values())


def machine() -> dict[str, object]:
    """Return what this machine is: processor, cores, memory, system."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(),
        "load_average": [round(x, 2) for x in os.getloadavg()],
    }


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
            for line in stream:
                if line.startswith(("model name", "Model")):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
