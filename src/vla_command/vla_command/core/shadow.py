"""How the commands of a dry run compare with what the arm does meanwhile.

Somebody else moves the arm, by teleoperation for example, or it stands. The commands go on from
where it is whenever they held, so the difference between the two says how the policy would have
moved it otherwise, and the angle between their velocities whether it wants the same way at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_common.core.robot import Robot

EVERY_NS = 50_000_000
"""Between two comparisons."""
KEPT = 1200
"""Comparisons: 60 s."""
STILL = 0.02
"""Slower than this share of its velocity limit a joint stands, and has no direction."""
TURN = 2.0 * np.pi


@dataclass(frozen=True, slots=True)
class Likeness:
    """Of the last minute: differences by joint (joints,) [rad or m], and the direction.

    ``direction`` is the cosine of the angle between commanded and measured velocity, in units of
    the velocity limits: 1 the same way, -1 the opposite one; NaN while one of them stands.
    """

    rms: np.ndarray
    largest: np.ndarray
    direction: float
    compared: int


class ShadowBook:
    """Compares a command with a joint state 20 times a second."""

    def __init__(self, robot: Robot) -> None:
        self._joints = robot.joints
        self._turning = robot.bound("angle_wraparound").astype(bool)
        self._v_max = robot.bound("max_velocity")
        self._rows: deque[tuple[np.ndarray, float, float, float]] = deque(maxlen=KEPT)
        self._last: tuple[int, np.ndarray] | None = None

    def add(
        self, q: np.ndarray, v: np.ndarray, names: Sequence[str], positions: Any, now_ns: int
    ) -> None:
        """Compare the command ``q``, ``v`` (joints,) with a joint state, where that is whole."""
        if self._last is not None and now_ns - self._last[0] < EVERY_NS:
            return
        measured = self._measured(names, positions)
        if measured is None:
            return
        difference = self._near(q - measured)
        if self._last is not None:
            elapsed = (now_ns - self._last[0]) * 1e-9
            moved = self._near(measured - self._last[1]) / elapsed / self._v_max
            wanted = v / self._v_max
            if abs(moved).max() > STILL and abs(wanted).max() > STILL:
                products = float(moved @ wanted), float(moved @ moved), float(wanted @ wanted)
            else:
                products = 0.0, 0.0, 0.0
            self._rows.append((difference, *products))
        self._last = now_ns, measured

    def _measured(self, names: Sequence[str], positions: Any) -> np.ndarray | None:
        column = {name: i for i, name in enumerate(names)}
        if len(positions) != len(names) or not all(name in column for name in self._joints):
            return None
        found = np.array([positions[column[name]] for name in self._joints], dtype=np.float64)
        return found if np.isfinite(found).all() else None

    def _near(self, difference: np.ndarray) -> np.ndarray:
        turns = np.where(self._turning, np.round(difference / TURN), 0.0)
        return np.asarray(difference - TURN * turns)

    def likeness(self) -> Likeness | None:
        """Return how alike the last minute was; None: nothing was compared yet."""
        rows = tuple(self._rows)
        if not rows:
            return None
        apart = np.array([row[0] for row in rows])
        both, moved, wanted = (sum(row[i] for row in rows) for i in (1, 2, 3))
        direction = both / np.sqrt(moved * wanted) if moved and wanted else float("nan")
        rms = np.sqrt((apart * apart).mean(axis=0))
        return Likeness(rms, np.abs(apart).max(axis=0), float(direction), len(rows))
