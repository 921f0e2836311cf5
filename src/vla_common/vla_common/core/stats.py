"""Windowed statistics for latencies, periods and rates."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Summary:
    """Percentiles of a window; all NaN when it is empty."""

    count: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float


EMPTY = Summary(0, *([float("nan")] * 5))


class Window:
    """The last ``size`` values; adding allocates nothing."""

    def __init__(self, size: int) -> None:
        self._values = np.zeros(size, dtype=np.float64)
        self._next = 0
        self.total = 0
        self.max_ever = float("nan")

    def add(self, value: float) -> None:
        """Add a value, forgetting the oldest when full."""
        self._values[self._next] = value
        self._next = (self._next + 1) % len(self._values)
        self.total += 1
        if not value <= self.max_ever:
            self.max_ever = value

    def values(self) -> np.ndarray:
        """Return a copy of the values held, in no particular order."""
        return self._values[: min(self.total, len(self._values))].copy()

    def summary(self) -> Summary:
        """Return count, mean, p50, p95, p99 and max of the values held."""
        values = self.values()
        if values.size == 0:
            return EMPTY
        p50, p95, p99 = np.percentile(values, (50, 95, 99))
        return Summary(
            int(values.size),
            float(values.mean()),
            float(p50),
            float(p95),
            float(p99),
            float(values.max()),
        )


class RateMeter:
    """Rate of events from their monotonic times, over the last ``size`` events."""

    def __init__(self, size: int = 64) -> None:
        self._times = np.zeros(size, dtype=np.int64)
        self.total = 0

    def add(self, now_ns: int) -> None:
        """Note an event."""
        self._times[self.total % len(self._times)] = now_ns
        self.total += 1

    def rate(self, now_ns: int) -> float:
        """Return events per second; falls as silence lasts, 0 before the second event."""
        held = min(self.total, len(self._times))
        if held < 2:
            return 0.0
        newest = int(self._times[(self.total - 1) % len(self._times)])
        oldest = (
            int(self._times[self.total % len(self._times)])
            if held == len(self._times)
            else (int(self._times[0]))
        )
        mean_period = (newest - oldest) / (held - 1)
        if mean_period <= 0:
            return 0.0
        silence = now_ns - newest
        return (
            1e9 / max(mean_period, float(silence))
            if silence > 2 * mean_period
            else (1e9 / mean_period)
        )

    def last_ns(self) -> int:
        """Return the time of the newest event, 0 before the first."""
        return int(self._times[(self.total - 1) % len(self._times)]) if self.total else 0


class Rise:
    """How much counters rose within the last ``span_ns``, for one who looks at them now and then.

    The counters begin at 0 together with this. Looks nearer to each other than ``step_ns`` are
    not all remembered, so what lies up to ``span_ns`` + ``step_ns`` back is counted.
    """

    def __init__(self, span_ns: int, step_ns: int = 100_000_000) -> None:
        self._span_ns = span_ns
        self._step_ns = step_ns
        self._looks: deque[tuple[int, np.ndarray]] = deque()

    def look(self, counters: Sequence[int], now_ns: int) -> np.ndarray:
        """Return the rise of each counter up to now, (counters,) int64."""
        now = np.array(counters, dtype=np.int64)
        if not self._looks:
            self._looks.append((now_ns - self._step_ns, np.zeros_like(now)))
        rise = now - self._before(now_ns)
        if now_ns - self._looks[-1][0] >= self._step_ns:
            self._looks.append((now_ns, now))
        return np.asarray(rise)

    def _before(self, now_ns: int) -> np.ndarray:
        """Return the counters at the last look that is ``span_ns`` back, else at the first."""
        while len(self._looks) > 1 and self._looks[1][0] <= now_ns - self._span_ns:
            self._looks.popleft()
        return self._looks[0][1]
