"""The newest joint state, in the robot's order, if it is fresh and whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class JointReader:
    """Stores joint states by name; one that lacks a joint or is not finite is counted, not used."""

    def __init__(self, joints: tuple[str, ...], max_age_ns: int) -> None:
        self._joints = joints
        self._max_age_ns = max_age_ns
        self._order: tuple[tuple[str, ...], list[int]] = ((), [])
        self._latest: tuple[np.ndarray, int] | None = None
        self.bad = 0

    def update(self, names: Sequence[str], positions: Sequence[float], now_ns: int) -> bool:
        """Take a joint state received at ``now_ns``; return whether it is usable."""
        key = tuple(names)
        if key != self._order[0]:
            if not set(self._joints) <= set(key) or len(set(key)) != len(key):
                self.bad += 1
                return False
            self._order = (key, [key.index(name) for name in self._joints])
        values = np.asarray(positions, dtype=np.float32)
        if values.shape != (len(key),):
            self.bad += 1
            return False
        values = values[self._order[1]]
        if not np.isfinite(values).all():
            self.bad += 1
            return False
        self._latest = (values, now_ns)
        return True

    def read(self, now_ns: int) -> np.ndarray | None:
        """Return the positions (joints,) float32, None when stale or never seen."""
        latest = self._latest
        if latest is None or now_ns - latest[1] > self._max_age_ns:
            return None
        return latest[0]
