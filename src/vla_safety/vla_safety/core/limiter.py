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

Plain floats: for up to 14 joints that is several times faster than NumPy's calls.
"""

from __future__ import annotations

from math import floor, sqrt

from vla_safety.core.limits import Limits

RESERVE = 0.8
"""Share of the acceleration that the approach to a target is planned with."""
NOTICE = 0.005
"""A joint is held back when it misses the wanted velocity by more than this share of v_max."""
GRIPPER_NOTICE = 0.02
"""The same of a gripper: it runs against the end of its range whenever it opens or closes."""

Row = list[float]


def slowest(v: float, a: float, d: float) -> float:
    """Return the lowest velocity that one step can reach from ``v``.

    ``a`` and ``d`` are the changes of velocity in a step by acceleration and deceleration. Moving
    up, it is ``d`` that acts; across zero the weaker of the two; moving down ``a``.
    """
    if v <= 0.0:
        return v - a
    turned = v - (a if a < d else d)
    if turned < 0.0:
        return turned
    return v - d if v > d else 0.0


def towards(distance: float, v: float, dt: float, brake: float) -> float:
    """Return the highest next velocity whose stop fits into ``distance`` to a limit; >= 0.

    ``v`` is the velocity towards the limit now, ``brake`` the deceleration.
    """
    g = (distance - 0.5 * v * dt) / (brake * dt * dt)
    if g <= 0.0:
        return 0.0
    n = floor((sqrt(1.0 + 8.0 * g) - 1.0) * 0.5)
    return brake * dt * (g / (n + 1.0) + 0.5 * n)


class Limiter:
    """Steps all joints once. ``follow`` [s]: time constant for making good an error.

    Where no limit acts, an error e between plan and arm dies out critically damped: with
    w = 1 / ``follow``, e'' + 2 w e' + w^2 e = 0, beside the acceleration of the plan itself.
    """

    def __init__(self, limits: Limits, dt: float, follow: float) -> None:
        if not dt > 0.0:
            raise ValueError(f"dt must be > 0, got {dt}")
        self.dt = dt
        self.held = [False] * limits.joints
        """Joints that missed the wanted velocity in the steps since it was last cleared."""
        self.gain = 0.5 / max(follow, 2.0 * dt)
        self.damping = min(1.0, 4.0 * self.gain * dt)
        self._v: Row = limits.v_max.tolist()
        self._a: Row = (limits.a_max * dt).tolist()
        self._d: Row = (limits.d_max * dt).tolist()
        self._brake: Row = limits.d_max.tolist()
        low, high = limits.q_min.tolist(), limits.q_max.tolist()
        shares = [GRIPPER_NOTICE if gripper else NOTICE for gripper in limits.gripper]
        slack = [share * top for share, top in zip(shares, self._v)]
        self._bounds: tuple[Row, ...] = (self._v, self._brake, low, high, slack)
        plan = [RESERVE * min(a, d) for a, d in zip(self._a, self._d)]
        self._approach = [(2.0 * x / dt, x / 2.0, x * x / 4.0) for x in plan]
        self._arm = [i for i, gripper in enumerate(limits.gripper) if not gripper]
        rows = zip(limits.k_soft.tolist(), limits.soft_min.tolist(), limits.soft_max.tolist())
        self._soft = [(i, *row) for i, row in enumerate(rows) if row[0] < float("inf")]

    def step(
        self, q: Row, v: Row, ref_q: Row, ref_v: Row, ref_next: Row, scale: float
    ) -> tuple[Row, Row, float]:
        """Return (q', v') after one step from the safe state (q, v), a value per joint.

        ``ref_q`` [rad or m] and ``ref_v`` are where the plan is now and how fast, ``ref_next`` is
        its velocity after the step; ``scale`` 0..1 multiplies the velocity limits. Also returned:
        the smallest factor by which the wanted change of velocity was scaled down, 1 if none was.
        """
        want = self._wanted(q, v, ref_q, ref_v, ref_next, scale)
        low, high, factors = self._reachable(v, want)
        q_next, v_next = [], []
        half, dt, notice = 0.5 * self.dt, self.dt, self.held
        rows = zip(q, v, want, factors, low, high, *self._bounds)
        for i, (at, x, wish, factor, lo, hi, top, brake, first, last, slack) in enumerate(rows):
            new = x + factor * (wish - x)
            if new > 0.0:  # v_max, and what can still stop before the limits
                stop = towards(last - at, x, dt, brake)
                new = top if new > top else new
                new = stop if new > stop else new
            else:
                stop = -towards(at - first, -x, dt, brake)
                new = -top if new < -top else new
                new = stop if new < stop else new
            new = lo if new < lo else new
            new = hi if new > hi else new
            if abs(wish - new) > slack:
                notice[i] = True
            v_next.append(new)
            q_next.append(at + (x + new) * half)
        return q_next, v_next, min(factors)

    def _share(self, factors: Row) -> None:
        """Give all joints but the grippers the smallest of their factors: direction is kept."""
        if self._arm:
            smallest = min([factors[i] for i in self._arm])
            for i in self._arm:
                factors[i] = smallest

    def _wanted(self, q: Row, v: Row, ref_q: Row, ref_v: Row, ref_next: Row, scale: float) -> Row:
        """Return the velocity that follows the plan, its direction kept within v_max."""
        errors, gains, most = [], [], self.gain
        for r, x, (two_a, h, hh) in zip(ref_q, q, self._approach):
            error = r - x
            gain = two_a / (h + sqrt(hh + two_a * abs(error)))
            errors.append(error)
            gains.append(gain if gain < most else most)
        self._share(gains)
        b = self.damping
        want = [
            w1 + b * e * g + (1.0 - b) * (x - w0)
            for e, g, x, w0, w1 in zip(errors, gains, v, ref_v, ref_next)
        ]
        tops = [scale * top for top in self._v]
        speeds = [1.0 if abs(w) <= top else top / abs(w) for w, top in zip(want, tops)]
        self._share(speeds)
        want = [w * s for w, s in zip(want, speeds)]
        for i, k, low, high in self._soft:
            want[i] = min(max(want[i], min(k * (low - q[i]), 0.0)), max(k * (high - q[i]), 0.0))
        return want

    def _reachable(self, v: Row, want: Row) -> tuple[Row, Row, Row]:
        """Return the velocities that a step can reach, and how much of what is wanted fits."""
        low, high, factors = [], [], []
        for w, x, a, d in zip(want, v, self._a, self._d):
            lo, hi = slowest(x, a, d), -slowest(-x, a, d)
            room = hi - x if w > x else x - lo
            size = abs(w - x)
            low.append(lo)
            high.append(hi)
            factors.append(1.0 if size <= room else room / size)
        self._share(factors)
        return low, high, factors
