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

Plain loops over plain numbers, for :mod:`vla_safety.core.compiled`.
"""

from __future__ import annotations

from math import floor, inf, sqrt
from typing import Any, NamedTuple

import numpy as np

from vla_safety.core.compiled import compiled, plain
from vla_safety.core.limits import Array, Limits, Mask

RESERVE = 0.8
"""Share of the acceleration that the approach to a target is planned with."""
NOTICE = 0.005
"""A joint is held back when it misses the wanted velocity by more than this share of v_max."""
GRIPPER_NOTICE = 0.02
"""The same of a gripper: it runs against the end of its range whenever it opens or closes."""

Row = Any
"""Values per joint, or rows of them: an array where the loops are compiled, else a list."""
Step = tuple[float, float, float]
"""Its length [s], and gain [1/s] and damping of what follows the plan."""


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


class Law(NamedTuple):
    """What the steps keep to, a row of each; ``a`` and ``d`` are changes of velocity in a step."""

    v_max: Row
    a: Row
    d: Row
    brake: Row  # [rad/s^2 or m/s^2]
    low: Row
    high: Row
    slack: Row  # by how much the wanted velocity may be missed before a joint is held back
    arm: Row  # 1 for a joint of the arm, 0 for a gripper
    k_soft: Row
    soft_low: Row
    soft_high: Row
    approach: Row  # change of velocity in a step that the approach to a target is planned with


class Rows(NamedTuple):
    """Where the steps lead."""

    q: Row  # (steps + 1, joints): the first row is given
    v: Row
    want: Row  # (joints,), for the work of a step
    share: Row  # (joints,), likewise
    held: Row  # (joints,): 1 where a joint missed the wanted velocity


def share_out(share: Row, arm: Row) -> None:
    """Give all joints but the grippers the smallest of their shares: direction is kept."""
    smallest = 1.0
    for i in range(len(arm)):
        if arm[i] and share[i] < smallest:
            smallest = share[i]
    for i in range(len(arm)):
        if arm[i]:
            share[i] = smallest


def wish(law: Law, step: Step, to: Rows, k: int, ref_q: Row, ref_v: Row, scale: float) -> None:
    """Fill ``to.want``: the velocity that follows the plan, its direction kept within v_max."""
    dt, most, b = step
    q, v, want, share = to.q[k], to.v[k], to.want, to.share
    for i in range(len(want)):
        twice, half = 2.0 * law.approach[i] / dt, 0.5 * law.approach[i]
        gain = twice / (half + sqrt(half * half + twice * abs(ref_q[k][i] - q[i])))
        share[i] = gain / most if gain < most else 1.0
    share_out(share, law.arm)
    for i in range(len(want)):
        spring = b * most * share[i] * (ref_q[k][i] - q[i])
        want[i] = ref_v[k + 1][i] + spring + (1.0 - b) * (v[i] - ref_v[k][i])
        top, size = scale * law.v_max[i], abs(want[i])
        share[i] = top / size if size > top else 1.0
    share_out(share, law.arm)
    for i in range(len(want)):
        w = want[i] * share[i]
        if law.k_soft[i] < inf:
            least = min(law.k_soft[i] * (law.soft_low[i] - q[i]), 0.0)
            w = min(max(w, least), max(law.k_soft[i] * (law.soft_high[i] - q[i]), 0.0))
        want[i] = w


def braked(v: float, change: float) -> float:
    """Return how much of a change of velocity from ``v`` is braking, up to a standstill; >= 0."""
    return min(abs(v), abs(change)) if change * v < 0.0 else 0.0


def permitted(law: Law, dt: float, i: int, q: float, v: float, new: float) -> float:
    """Return what is left of the velocity ``new`` of joint ``i`` after one step from (q, v)."""
    if new > 0.0:  # v_max, and what can still stop before the limits
        new = min(new, law.v_max[i], towards(law.high[i] - q, v, dt, law.brake[i]))
    else:
        new = max(new, -law.v_max[i], -towards(q - law.low[i], -v, dt, law.brake[i]))
    new = max(new, slowest(v, law.a[i], law.d[i]))
    return min(new, -slowest(-v, law.a[i], law.d[i]))


def advance(
    laws: Row, step: Step, rows: tuple[Row, Row, Row], ref_q: Row, ref_v: Row, scale: float
) -> float:
    """Fill ``rows``; return the smallest share of a wanted change that was possible.

    ``laws`` are the rows of :class:`Law`, ``rows`` those of :class:`Rows`, its last three in one:
    taken out here, as each array that a compiled function is handed costs about half a microsecond.

    All joints of the arm get the same share of what is wanted, and those that brake the same share
    of their braking, which is never less: a joint that cannot speed up keeps no other from braking.
    """
    law = Law(
        laws[0], laws[1], laws[2], laws[3], laws[4], laws[5], laws[6], laws[7], laws[8], laws[9],
        laws[10], laws[11],
    )  # fmt: skip
    to = Rows(rows[0], rows[1], rows[2][0], rows[2][1], rows[2][2])
    dt, smallest = step[0], 1.0
    want, share = to.want, to.share
    for k in range(len(to.q) - 1):
        q, v = to.q[k], to.v[k]
        wish(law, step, to, k, ref_q, ref_v, scale)
        brake = 1.0
        for i in range(len(want)):
            change, a, d = want[i] - v[i], law.a[i], law.d[i]
            room = -slowest(-v[i], a, d) - v[i] if change > 0.0 else v[i] - slowest(v[i], a, d)
            share[i] = room / abs(change) if abs(change) > room else 1.0
            fall = braked(v[i], change)
            if law.arm[i] and fall * brake > room:
                brake = room / fall
        share_out(share, law.arm)
        for i in range(len(want)):
            smallest = min(smallest, share[i])
            change, part = want[i] - v[i], share[i]
            fall = braked(v[i], change)
            if law.arm[i] and fall > 0.0:
                part = max(part, brake * (fall / abs(change)))
            new = permitted(law, dt, i, q[i], v[i], v[i] + part * change)
            if abs(want[i] - new) > law.slack[i]:
                to.held[i] = 1.0
            to.v[k + 1][i] = new
            to.q[k + 1][i] = q[i] + (v[i] + new) * (0.5 * dt)
    return smallest


slowest = compiled(slowest)
towards = compiled(towards)
share_out = compiled(share_out)
wish = compiled(wish)
braked = compiled(braked)
permitted = compiled(permitted)
advance = compiled(advance)


class Limiter:
    """Steps all joints. ``follow`` [s]: time constant for making good an error.

    Where no limit acts, an error e between plan and arm dies out critically damped: with
    w = 1 / ``follow``, e'' + 2 w e' + w^2 e = 0, beside the acceleration of the plan itself.
    """

    def __init__(self, limits: Limits, dt: float, follow: float) -> None:
        if not dt > 0.0:
            raise ValueError(f"dt must be > 0, got {dt}")
        self.held: Mask = np.zeros(limits.joints, dtype=np.bool_)
        """Joints that missed the wanted velocity in the last :meth:`steps`, (joints,)."""
        self.gain = 0.5 / max(follow, 2.0 * dt)
        self.damping = min(1.0, 4.0 * self.gain * dt)
        self._step = (dt, self.gain, self.damping)
        a, d = limits.a_max * dt, limits.d_max * dt
        slack = np.where(limits.gripper, GRIPPER_NOTICE, NOTICE) * limits.v_max
        self._laws = plain(
            np.array(
                Law(
                    v_max=limits.v_max,
                    a=a,
                    d=d,
                    brake=limits.d_max,
                    low=limits.q_min,
                    high=limits.q_max,
                    slack=slack,
                    arm=~limits.gripper,
                    k_soft=limits.k_soft,
                    soft_low=limits.soft_min,
                    soft_high=limits.soft_max,
                    approach=RESERVE * np.minimum(a, d),
                ),
                dtype=np.float64,
            )
        )

    def steps(
        self, q: Array, v: Array, ref_q: Array, ref_v: Array, scale: float
    ) -> tuple[Array, Array, float]:
        """Return rows (n, joints) of positions and velocities from the safe state (q, v) on.

        ``ref_q`` [rad or m] and ``ref_v`` (n, joints) are the plan at the times of the rows;
        ``scale`` 0..1 multiplies the velocity limits. Also returned: the smallest factor by which
        a wanted change of velocity was scaled down, 1 if none was.
        """
        rows_q, rows_v = np.empty_like(ref_q), np.empty_like(ref_v)
        rows_q[0], rows_v[0] = q, v
        rows = plain(rows_q), plain(rows_v), plain(np.zeros((3, len(q))))
        factor = advance(self._laws, self._step, rows, plain(ref_q), plain(ref_v), float(scale))
        self.held = np.asarray(rows[2][2]) != 0.0
        return np.asarray(rows[0]), np.asarray(rows[1]), factor
