"""A verified path: states on a grid of time that end at rest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import numpy as np

from vla_safety.core.limits import Array, Limits


@dataclass(frozen=True, eq=False)
class Path:
    """Rows (n, joints) of positions and velocities, row i due at ``start_ns + i * step_ns``.

    Acceleration is constant between rows; the last velocity is zero and the arm stays there.
    ``tail_start`` is the first row of the stop tail. ``measured``: it stands where the arm was
    measured, not where it was commanded to be. The arrays are not to be written to.
    """

    start_ns: int
    step_ns: int
    q: Array
    v: Array
    tail_start: int
    measured: bool = False

    @property
    def end_ns(self) -> int:
        """Time from which on the arm rests."""
        return self.start_ns + (len(self.q) - 1) * self.step_ns

    def grid(self, at_ns: int) -> int:
        """Return the first grid time at or after ``at_ns``, not before the path begins."""
        late = max(0, at_ns - self.start_ns)
        return self.start_ns + -(-late // self.step_ns) * self.step_ns

    def row(self, at_ns: int) -> tuple[Array, Array]:
        """Return the state (q, v) at a grid time, exactly; before the path its first row."""
        index = (at_ns - self.start_ns) // self.step_ns
        if index >= len(self.q) - 1:
            return self.q[-1], np.zeros_like(self.q[-1])
        return self.q[max(0, index)], self.v[max(0, index)]

    def at(self, now_ns: int) -> tuple[Array, Array]:
        """Return the state (q, v) at any time."""
        index, rest = divmod(max(0, now_ns - self.start_ns), self.step_ns)
        if index >= len(self.q) - 1:
            return self.q[-1], np.zeros_like(self.q[-1])
        t, dt = rest * 1e-9, self.step_ns * 1e-9
        v0, a = self.v[index], (self.v[index + 1] - self.v[index]) / dt
        return self.q[index] + (v0 + 0.5 * a * t) * t, v0 + a * t

    def after(self, at_ns: int) -> Path:
        """Return what is left of the path from the grid time ``at_ns`` on; at least one row."""
        index = max(0, (at_ns - self.start_ns) // self.step_ns)
        cut = min(index, len(self.q) - 1)
        return Path(
            self.start_ns + index * self.step_ns,
            self.step_ns,
            self.q[cut:],
            self.v[cut:],
            max(0, self.tail_start - cut),
            self.measured,
        )


def rest(q: Array, start_ns: int, step_ns: int, measured: bool = False) -> Path:
    """Return the path that stands at ``q`` (joints,)."""
    rows = np.array(q, dtype=np.float64, ndmin=2)
    return Path(start_ns, step_ns, rows, np.zeros_like(rows), 0, measured)


def stop_rows(q: Array, v: Array, limits: Limits, dt: float) -> tuple[Array, Array]:
    """Return the stop (n, joints) after the safe state (q, v); the last velocity is zero.

    All joints come to rest together on a straight line, braking with the deceleration that the
    slowest of them needs. A joint for which the way to its limit is too short for that brakes as
    hard as it may (see :mod:`vla_safety.core.limiter`), which always suffices.
    """
    brake = limits.d_max * dt
    speed = np.abs(v)
    steps = ceil(float((speed / brake).max()) - 1e-9)
    steps = max(steps, int(speed.any()))  # rounding errors are a speed, too: it ends at zero
    if steps <= 0:
        return q[None, :0].reshape(0, len(q)), v[None, :0].reshape(0, len(v))
    fall, way = _fall(steps)
    v_rows, q_rows = v * fall, q + v * (steps * dt * way)
    end = q_rows[-1]
    if (end > limits.q_max).any() or (end < limits.q_min).any():
        short = (end > limits.q_max) & (v > 0.0) | (end < limits.q_min) & (v < 0.0)
        hard = np.maximum(speed - np.arange(steps + 1)[:, None] * brake, 0.0) * np.sign(v)
        hard[-1] = 0.0
        hard_q = q + np.cumsum((hard[:-1] + hard[1:]) * (0.5 * dt), axis=0)
        v_rows, q_rows = np.where(short, hard[1:], v_rows), np.where(short, hard_q, q_rows)
    return q_rows, v_rows


@lru_cache(maxsize=1024)
def _fall(steps: int) -> tuple[Array, Array]:
    """Return the rest of the velocity, and the way as a share of ``v t``, after each step (n, 1).

    The velocity falls in a straight line from 1 to 0.
    """
    part = np.arange(1, steps + 1)[:, None] / steps
    fall, way = 1.0 - part, part - 0.5 * part * part
    fall.setflags(write=False)
    way.setflags(write=False)
    return fall, way
