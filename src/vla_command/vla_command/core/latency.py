"""Capture-to-command latency, by stage, against the budget of one tick."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from vla_common.core.stats import Summary, Window
from vla_common.core.trace import STAGES, Trace, stages_ms

WINDOW = 1200  # 60 s at 20 Hz


@dataclass(frozen=True, slots=True)
class StageLatency:
    """One stage: percentiles over the window, largest since start, count over budget [ms]."""

    name: str
    budget_ms: float
    window: Summary
    max_ever: float
    overruns: int


class LatencyBook:
    """Collects the traces of commands that were sent."""

    def __init__(self, size: int = WINDOW) -> None:
        self._windows = {name: Window(size) for name in STAGES}
        self._overruns: Counter[str] = Counter()

    def add(self, trace: Trace) -> None:
        """Take the trace of one command; stages not passed are left out."""
        for name, value in stages_ms(trace).items():
            self._windows[name].add(value)
            if value > STAGES[name][2]:
                self._overruns[name] += 1

    def stages(self) -> list[StageLatency]:
        """Return every stage, in the order passed, the total last."""
        return [
            StageLatency(name, STAGES[name][2], w.summary(), w.max_ever, self._overruns[name])
            for name, w in self._windows.items()
        ]
