"""All steps of a motion that no limit holds back, at once.

Without a limit in the way :class:`vla_safety.core.limiter.Limiter` is linear: with the gain g and
the damping b it wants v' = w' + b g (r - q) + (1 - b) (v - w) and moves q' = q + (v + v') dt / 2.
All rows are then one matrix times
the start and the reference. Here they are computed like that, and then every row is checked
against every limit; when one does not hold, the answer is None and the limiter has to step. The
checks are sufficient, not necessary: what passes here passes the limiter unchanged.
"""

from __future__ import annotations

import numpy as np

from vla_safety.core.limits import Array, Limits


def linear_rows(gain: float, damping: float, dt: float, steps: int) -> Array:
    """Return the matrix (2 steps, 2 + 2 steps) from (v, r_0.., w_0, w_1..) to (q_1.., v_1..).

    Positions count from that at the start, so that an arm at rest stays there exactly.
    """
    unit = np.eye(2 + 2 * steps)
    q, v = np.zeros(2 + 2 * steps), unit[0]
    rows_q, rows_v = [], []
    for i in range(steps):
        w, w_next = unit[1 + steps + i], unit[2 + steps + i]
        v_next = w_next + damping * gain * (unit[1 + i] - q) + (1.0 - damping) * (v - w)
        q, v = q + (v + v_next) * (0.5 * dt), v_next
        rows_q.append(q)
        rows_v.append(v)
    return np.array(rows_q + rows_v)


class Unhindered:
    """For ``steps`` steps of ``dt`` [s]; ``gain`` [1/s] and ``damping`` are the limiter's.

    ``approach`` (joints,) is the acceleration [rad/s^2 or m/s^2] with which the limiter
    approaches a target: from the error on at which that bends its gain the answer is None.
    """

    def __init__(
        self, limits: Limits, dt: float, steps: int, gain: float, damping: float, approach: Array
    ) -> None:
        self._steps, self._dt = steps, dt
        self._matrix = linear_rows(gain, damping, dt, steps)
        # The limiter's gain is 2 a / (h + sqrt(h^2 + 2 a |e|)) with h = a dt / 2; it is at least
        # `gain` while |e| <= ((2 a / gain - h)^2 - h^2) / 2 a.
        h = 0.5 * approach * dt
        bend = np.maximum(2.0 * approach / gain - h, h)
        self._error = (bend**2 - h**2) / (2.0 * approach)
        self._v_max = limits.v_max
        self._change = np.minimum(limits.a_max, limits.d_max) * dt
        self._high, self._low = limits.q_max, limits.q_min
        self._brake = 2.0 * limits.d_max
        self._last = limits.d_max * (dt * dt / 8.0)  # of a stop in whole steps, at most
        soft = np.isfinite(limits.k_soft)
        self._soft = np.flatnonzero(soft)
        self._k = limits.k_soft[soft]
        self._soft_high, self._soft_low = limits.soft_max[soft], limits.soft_min[soft]

    def rows(
        self, q: Array, v: Array, ref_q: Array, ref_v: Array, scale: float
    ) -> tuple[Array, Array] | None:
        """Return rows (steps + 1, joints) of positions and velocities from (q, v) on, or None.

        ``ref_q`` and ``ref_v`` (steps + 1, joints) are the plan at the times of the rows;
        ``scale`` 0..1 multiplies the velocity limits.
        """
        n = self._steps
        both = self._matrix @ np.concatenate((v[None], ref_q[:n] - q, ref_v[: n + 1]))
        rows_q = np.concatenate((q[None], q + both[:n]))
        rows_v = np.concatenate((v[None], both[n:]))
        fits = self._fits(rows_q[:-1], rows_v[:-1], rows_v[1:], ref_q[:n], scale)
        return (rows_q, rows_v) if fits else None

    def _fits(self, q: Array, v: Array, new: Array, ref_q: Array, scale: float) -> bool:
        """Whether no limit acts in any of the steps from (q, v) to ``new``, all (steps, joints)."""
        if not (np.abs(ref_q - q) <= self._error).all():
            return False
        speed = np.abs(new)
        if not (speed <= scale * self._v_max).all() or not (np.abs(new - v) <= self._change).all():
            return False
        if self._soft.size and not self._softly(q[:, self._soft], new[:, self._soft]):
            return False
        way = speed * speed / self._brake + self._last + 0.5 * self._dt * speed
        up = new > 0.0
        room = np.where(up, self._high - q, q - self._low)
        room -= 0.5 * self._dt * np.where(up, v, -v)
        return bool(((way <= room) | (speed == 0.0)).all())

    def _softly(self, q: Array, new: Array) -> bool:
        high = np.maximum(self._k * (self._soft_high - q), 0.0)
        low = np.minimum(self._k * (self._soft_low - q), 0.0)
        return bool(((new <= high) & (new >= low)).all())
