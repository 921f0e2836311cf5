"""An independent judge of what the gate let through; it shares no code with the gate.

It knows only the stated limits and what was sent: rows of positions and velocities at times. From
these it rebuilds the motion that was executed, each new path replacing the rest of the one
before, and measures positions, velocities, accelerations and jerks by finite differences and
between the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

TOLERANCE = 1e-9
INSIDE = np.linspace(0.0, 1.0, 9)[1:-1]


@dataclass
class Stated:
    """Limits as the robot file states them, each (joints,); infinite where there is none."""

    q_min: np.ndarray
    q_max: np.ndarray
    v_max: np.ndarray
    a_max: np.ndarray
    d_max: np.ndarray
    j_max: np.ndarray


@dataclass
class Verdict:
    """Largest ratio to the limit per quantity, and every violation in words."""

    ratios: dict[str, float] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    steps: int = 0

    def note(self, quantity: str, value: np.ndarray, limit: np.ndarray) -> None:
        """Compare |value| (..., joints) with a limit (joints,)."""
        if value.size == 0:
            return
        top = np.abs(value).reshape(-1, value.shape[-1]).max(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = float(np.nanmax(np.where(np.isinf(limit), 0.0, top / limit)))
        self.ratios[quantity] = max(self.ratios.get(quantity, 0.0), ratio)
        if not (top <= limit * (1.0 + TOLERANCE) + TOLERANCE).all():
            self.violations.append(f"{quantity}: {ratio!r} x limit")

    def merge(self, other: Verdict) -> None:
        """Take over another verdict."""
        for quantity, ratio in other.ratios.items():
            self.ratios[quantity] = max(self.ratios.get(quantity, 0.0), ratio)
        self.violations += other.violations
        self.steps += other.steps


class Track:
    """What the arm was told to do, put together from paths as they were sent."""

    def __init__(self, stated: Stated) -> None:
        self.stated = stated
        self.verdict = Verdict()
        self._times: list[int] = []
        self._q: list[np.ndarray] = []
        self._v: list[np.ndarray] = []

    def send(self, start_ns: int, step_ns: int, q: np.ndarray, v: np.ndarray) -> None:
        """Take a path (rows, joints); it replaces everything from ``start_ns`` on."""
        self._path(step_ns * 1e-9, q, v)
        if self._times:
            self._join(start_ns, q[0], v[0], step_ns)
        times = [start_ns + i * step_ns for i in range(len(q))]
        self._times += times
        self._q += list(q)
        self._v += list(v)

    def _path(self, dt: float, q: np.ndarray, v: np.ndarray) -> None:
        """Check a path on its own, to its very end: nothing may follow it."""
        if not (np.isfinite(q).all() and np.isfinite(v).all()):
            self.verdict.violations.append("not finite")
            return
        if v[-1].any():
            self.verdict.violations.append("does not end at rest")
        self._measure(q, v, dt)

    def _join(self, start_ns: int, q: np.ndarray, v: np.ndarray, step_ns: int) -> None:
        """Cut what is replaced; the new path must begin where the old one was at that time."""
        last = max(i for i, t in enumerate(self._times) if t <= start_ns)
        at_end = last == len(self._times) - 1
        if self._times[last] != start_ns and not at_end:
            self.verdict.violations.append("begins between two rows")
            return
        if (
            np.abs(q - self._q[last]).max() > TOLERANCE
            or np.abs(v - self._v[last]).max() > TOLERANCE
        ):
            self.verdict.violations.append("does not begin where the last path was")
        gap = (start_ns - self._times[last]) // step_ns
        keep = last if gap == 0 else last + 1
        self._close(keep, step_ns * 1e-9)
        # a long rest is two rows of it, so that differences across it are taken
        rest = [self._q[keep - 1]] * min(gap - 1, 2) if gap > 1 else []
        from_ = max(0, keep - 4)
        self._q = self._q[from_:keep] + rest
        self._v = self._v[from_:keep] + [np.zeros_like(q)] * len(rest)
        self._times = [start_ns - step_ns * (len(self._q) - i) for i in range(len(self._q))]

    def _close(self, keep: int, dt: float) -> None:
        self.verdict.steps += max(0, keep - 4)
        if keep >= 2:
            self._measure(np.array(self._q[:keep]), np.array(self._v[:keep]), dt)

    def finish(self, step_ns: int) -> Verdict:
        """Check what was executed to its end, and return the verdict."""
        self._close(len(self._q), step_ns * 1e-9)
        return self.verdict

    def _measure(self, q: np.ndarray, v: np.ndarray, dt: float) -> None:
        stated, note = self.stated, self.verdict.note
        middle, half = (stated.q_max + stated.q_min) / 2.0, (stated.q_max - stated.q_min) / 2.0
        note("position", q - middle, half)
        note("velocity", v, stated.v_max)
        if len(q) < 2:
            return
        a = np.diff(v, axis=0) / dt
        moved = np.diff(q, axis=0) - (v[1:] + v[:-1]) * (0.5 * dt)
        if np.abs(moved).max() > TOLERANCE:
            self.verdict.violations.append("positions and velocities disagree")
        speeds = np.abs(v[1:]) > np.abs(v[:-1])
        turned = v[1:] * v[:-1] < 0.0
        bound = np.where(turned, np.minimum(stated.a_max, stated.d_max),
                         np.where(speeds, stated.a_max, stated.d_max))  # fmt: skip
        note("acceleration", a / bound, np.ones(q.shape[1]))
        note("jerk", np.diff(a, axis=0) / dt, stated.j_max)
        t = INSIDE[:, None, None] * dt
        note("position", q[:-1] + (v[:-1] + 0.5 * a * t) * t - middle, half)
        with np.errstate(divide="ignore", invalid="ignore"):
            peak = np.clip(np.nan_to_num(-v[:-1] / a), 0.0, dt)
        note("position", q[:-1] + (v[:-1] + 0.5 * a * peak) * peak - middle, half)
