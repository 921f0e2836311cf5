"""One step of the verified motion: as near to what is wanted as the limits allow.

The model on a grid of ``dt``: acceleration is constant within a step, so from (q, v) a step to
the velocity v' moves to q' = q + (v + v') dt / 2. A state is *safe* when braking with at most
``d_max``, in whole steps, ends before the position limit. The distance that takes from speed w,
with n = floor(w / (D dt)) full steps and a last, weaker one, is

    S(w) = dt ((n + 1) w - n (n + 1) D dt / 2) - w dt / 2,

which lies between w^2 / 2D and w^2 / 2D + D dt^2 / 8. From a safe state braking leads to a safe
state again (S(v) = S(v') + (v + v') dt / 2 for v' = max(v - D dt, 0)), so that a permitted
velocity always exists. The largest one towards a limit at distance d solves
S(v') + v' dt / 2 = d - v dt / 2; with g = (d - v dt / 2) / (D dt^2) it is

    v' = D dt (g / (n + 1) + n / 2),  n = floor((sqrt(1 + 8 g) - 1) / 2).
"""

from __future__ import annotations

import numpy as np

from vla_safety.core.limits import Array, Limits

RESERVE = 0.8
"""Share of the acceleration that the approach to a target is planned with."""


class Limiter:
    """Steps all joints once; all buffers are allocated at construction. Not thread safe.

    ``follow`` [s] is the time constant with which an error of position is made good.
    """

    def __init__(self, limits: Limits, dt: float, follow: float) -> None:
        if not dt > 0.0:
            raise ValueError(f"dt must be > 0, got {dt}")
        n = limits.joints
        self.limits = limits
        self.dt = dt
        self.clamped = np.zeros(n, dtype=np.bool_)
        self._gain = 1.0 / max(follow, 3.0 * dt)
        self._a_dt = limits.a_max * dt
        self._d_dt = limits.d_max * dt
        self._turn_dt = np.minimum(self._a_dt, self._d_dt)
        self._unit = 1.0 / (limits.d_max * dt * dt)
        self._two_a = 2.0 * RESERVE * self._turn_dt / dt
        self._h = RESERVE * self._turn_dt / 2.0
        self._arm = ~limits.gripper
        self._soft = bool(np.isfinite(limits.k_soft).any())
        self._notice = 1e-3 * limits.v_max
        self._b = [np.zeros(n) for _ in range(8)]

    def step(
        self,
        q: Array,
        v: Array,
        ref_q: Array,
        ref_v: Array,
        scale: float,
        q_out: Array,
        v_out: Array,
    ) -> float:
        """Write the state after one step to ``q_out``, ``v_out``; (q, v) is the state before.

        ``ref_q`` [rad or m] is where the plan is now, ``ref_v`` its velocity after the step;
        ``scale`` 0..1 multiplies the velocity limits. All (joints,). Return by how much the
        wanted change of velocity was scaled down, 1 if not at all.
        """
        want = self._wanted(q, ref_q, ref_v, scale)
        low, high = self._reachable(v)
        change = np.subtract(want, v, out=self._b[3])
        factor = self._together(change, low, high, v)
        np.multiply(change, factor, out=v_out)
        np.add(v_out, v, out=v_out)
        self._stay_inside(q, v, v_out)
        np.clip(v_out, low, high, out=v_out)
        np.subtract(want, v_out, out=change)
        np.greater(np.abs(change, out=change), self._notice, out=self.clamped)
        np.add(v, v_out, out=q_out)
        np.multiply(q_out, 0.5 * self.dt, out=q_out)
        np.add(q_out, q, out=q_out)
        return factor if isinstance(factor, float) else float(factor.min())

    def _wanted(self, q: Array, ref_q: Array, ref_v: Array, scale: float) -> Array:
        """Return the velocity that follows the plan, its direction kept within v_max."""
        want, gain = self._b[0], self._b[1]
        error = np.subtract(ref_q, q, out=self._b[2])
        np.abs(error, out=gain)
        np.multiply(gain, self._two_a, out=gain)
        np.add(gain, self._h * self._h, out=gain)
        np.sqrt(gain, out=gain)
        np.add(gain, self._h, out=gain)
        np.divide(self._two_a, gain, out=gain)
        np.minimum(gain, self._gain, out=gain)
        self._share_minimum(gain)
        np.multiply(error, gain, out=want)
        np.add(want, ref_v, out=want)
        speed = np.abs(want, out=gain)
        np.maximum(speed, 1e-12, out=speed)
        np.divide(self.limits.v_max, speed, out=speed)
        np.multiply(speed, scale, out=speed)
        np.minimum(speed, 1.0, out=speed)
        self._share_minimum(speed)
        np.multiply(want, speed, out=want)
        if self._soft:
            self._soften(q, want)
        return want

    def _share_minimum(self, factors: Array) -> None:
        """Give every joint but the grippers the smallest of their factors: direction is kept."""
        smallest = np.minimum.reduce(factors, where=self._arm, initial=np.inf)
        np.copyto(factors, smallest, where=self._arm)

    def _soften(self, q: Array, want: Array) -> None:
        limits = self.limits
        with np.errstate(invalid="ignore"):
            up = np.where(limits.k_soft < np.inf, limits.k_soft * (limits.soft_max - q), np.inf)
            down = np.where(limits.k_soft < np.inf, limits.k_soft * (limits.soft_min - q), -np.inf)
        np.clip(want, np.minimum(down, 0.0), np.maximum(up, 0.0), out=want)

    def _reachable(self, v: Array) -> tuple[Array, Array]:
        """Return the velocities that one step can reach; the deceleration ends at a standstill."""
        return (
            self._slowest(v, self._b[4], self._b[6]),
            np.negative(
                self._slowest(np.negative(v, out=self._b[7]), self._b[5], self._b[6]),
                out=self._b[5],
            ),
        )

    def _slowest(self, v: Array, out: Array, spare: Array) -> Array:
        """Return the lowest velocity reachable from ``v``.

        Moving up, it is d_max that acts; across zero the weaker of a_max and d_max; moving down
        a_max. With equal bounds all of this is v - a_max dt.
        """
        np.subtract(v, self._turn_dt, out=out)
        brake = np.maximum(np.subtract(v, self._d_dt, out=spare), 0.0, out=spare)
        np.copyto(out, brake, where=out >= 0.0)
        np.copyto(out, v - self._a_dt, where=v <= 0.0)
        return out

    def _together(self, change: Array, low: Array, high: Array, v: Array) -> float | Array:
        """Return the factor(s) by which the wanted change fits between ``low`` and ``high``."""
        room = np.where(change > 0.0, high - v, v - low)
        size = np.maximum(np.abs(change), 1e-12)
        factors: Array = np.minimum(room / size, 1.0)
        self._share_minimum(factors)
        return factors

    def _stay_inside(self, q: Array, v: Array, v_out: Array) -> None:
        """Clip ``v_out`` to what can still stop before the position limits, and to v_max."""
        limits = self.limits
        up = self._towards(limits.q_max - q, v)
        np.minimum(up, limits.v_max, out=up)
        np.minimum(v_out, up, out=v_out)
        down = self._towards(q - limits.q_min, np.negative(v, out=self._b[7]))
        np.minimum(down, limits.v_max, out=down)
        np.maximum(v_out, np.negative(down, out=down), out=v_out)

    def _towards(self, distance: Array, v: Array) -> Array:
        """Return the highest velocity from which the stop fits into ``distance``; >= 0."""
        g = (distance - v * (0.5 * self.dt)) * self._unit
        np.maximum(g, 0.0, out=g)
        n = np.floor((np.sqrt(1.0 + 8.0 * g) - 1.0) * 0.5)
        bound: Array = (g / (n + 1.0) + 0.5 * n) * self._d_dt
        return bound
