"""How many steps pass between capture and a usable chunk: a windowed percentile, not a guess."""

from __future__ import annotations

import math

from vla_common.core.stats import Window


class DelayEstimator:
    """95th percentile of capture-to-chunk time over the last ``size``; the first ones excluded."""

    def __init__(self, size: int = 64, warm_up: int = 3) -> None:
        self._window = Window(size)
        self._warm_up = warm_up
        self._seen = 0

    def add(self, latency_ns: int) -> None:
        """Take the measured time from capture to the chunk being ready."""
        self._seen += 1
        if self._seen > self._warm_up:
            self._window.add(latency_ns * 1e-9)

    def seconds(self) -> float:
        """Return the estimate [s]; 0 before there is one."""
        return self._window.summary().p95 if self._window.total else 0.0

    def steps(self, step_dt: float, limit: int) -> int:
        """Return the estimate in steps of ``step_dt``, rounded up, at most ``limit``."""
        return min(math.ceil(self.seconds() / step_dt), limit)
