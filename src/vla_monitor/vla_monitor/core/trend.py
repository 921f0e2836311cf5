"""The slope of a quantity over time."""

from __future__ import annotations

from collections import deque

import numpy as np


class Trend:
    """Least-squares slope over the samples of the last ``span_s`` seconds."""

    def __init__(self, span_s: float = 600.0, least_s: float = 60.0) -> None:
        """``least_s``: no slope is told before samples cover this time."""
        self._samples: deque[tuple[int, float]] = deque()
        self._span_ns = round(span_s * 1e9)
        self._least_ns = round(least_s * 1e9)

    def add(self, now_ns: int, value: float) -> None:
        """Take a sample."""
        self._samples.append((now_ns, value))
        while now_ns - self._samples[0][0] > self._span_ns:
            self._samples.popleft()

    @property
    def covered_s(self) -> float:
        """Return the time between the first and the last sample [s]."""
        return (self._samples[-1][0] - self._samples[0][0]) * 1e-9 if self._samples else 0.0

    def slope(self) -> float:
        """Return the slope [1/s]; NaN when too little time is covered."""
        if self.covered_s * 1e9 < self._least_ns or len(self._samples) < 3:
            return float("nan")
        start = self._samples[0][0]
        times = np.array([(t - start) * 1e-9 for t, _ in self._samples])
        values = np.array([v for _, v in self._samples])
        times -= times.mean()
        return float(times @ (values - values.mean()) / (times @ times))
