"""Moves the phase of the 20 Hz tick to just after chunks arrive, without changing its rate.

A tick that comes right after a chunk plays it while it is fresh; one that comes right before it
plays it a whole period late. The phase moves by at most ``MAX_SHIFT`` of a period per tick, so
the rate stays within that share of its nominal value while it moves.
"""

from __future__ import annotations

import numpy as np

MAX_SHIFT = 0.005
LOCKED_NS = 6_000_000


class PhaseLock:
    """Keeps the smallest time from chunk to tick, over a window of ticks, at ``margin_ns``."""

    def __init__(self, period_ns: int, margin_ns: int = 2_000_000, window: int = 20) -> None:
        self._limit_ns = round(period_ns * MAX_SHIFT)
        self._margin_ns = margin_ns
        self._slack = np.full(window, -1, dtype=np.int64)
        self._next = 0

    @property
    def locked(self) -> bool:
        """Whether chunks come once a tick and always at about the same time before it."""
        return bool(self._slack.min() >= 0 and np.ptp(self._slack) < LOCKED_NS)

    def shift(self, tick_ns: int, chunk_ns: int) -> int:
        """Take the times of a tick and of the newest chunk; return the shift of the next tick."""
        self._slack[self._next] = tick_ns - chunk_ns
        self._next = (self._next + 1) % len(self._slack)
        if self._slack[-1] < 0 and self._next != 0:
            return 0
        error = int(self._slack.min()) - self._margin_ns
        shift = int(np.clip(-error // 4, -self._limit_ns, self._limit_ns))
        self._slack += shift
        return shift
