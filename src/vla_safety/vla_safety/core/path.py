"""A verified path: states on a grid of time that end at rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_safety.core.limits import Array, Limits


@dataclass(frozen=True, eq=False)
class Path:
    """Rows (n, joints) of positions and velocities, row i due at ``start_ns + i * step_ns``.

    Acceleration is constant between rows; the last velocity is zero and the arm stays there.
    ``tail_start`` is the first row of the stop tail. The arrays are not to be written to.
    """

    start_ns: int
    step_ns: int
    q: Array
    v: Array
    tail_start: int

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
        )


def rest(q: Array, start_ns: int, step_ns: int) -> Path:
    """Return the path that stands at ``q`` (joints,)."""
    rows = np.array(q, dtype=np.float64, ndmin=2)
    return Path(start_ns, step_ns, rows, np.zeros_like(rows), 0)


def stop_rows(q: Array, v: Array, limits: Limits, dt: float) -> tuple[Array, Array]:
    """Return the stop (n, joints) after the safe state (q, v); the last velocity is zero.

    All joints come to rest together on a straight line, braking with the deceleration that the
    slowest of them needs. A joint for which the way to its limit is too short for that brakes as
    hard as it may (see :mod:`vla_safety.core.limiter`), which always suffices.
    """
    brake = limits.d_max * dt
    speed = np.abs(v)
    steps = int(np.ceil((speed / brake).max() - 1e-9))
    steps = max(steps, int(speed.any()))  # rounding errors are a speed, too: it ends at zero
    if steps <= 0:
        return q[None, :0].reshape(0, len(q)), v[None, :0].reshape(0, len(v))
    count = np.arange(steps + 1)[:, None]
    v_all = v * (1.0 - count / steps)  # from the row before the stop on
    end = q + v * (0.5 * steps * dt)
    if min((limits.q_max - end).min(), (end - limits.q_min).min()) < 0.0:
        short = (end > limits.q_max) & (v > 0.0) | (end < limits.q_min) & (v < 0.0)
        hard = np.maximum(speed - count * brake, 0.0) * np.sign(v)
        v_all = np.where(short, hard, v_all)
    v_all[-1] = 0.0
    q_rows = q + np.cumsum((v_all[:-1] + v_all[1:]) * (0.5 * dt), axis=0)
    return q_rows, v_all[1:]
