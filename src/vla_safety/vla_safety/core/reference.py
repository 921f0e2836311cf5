"""Where a plan wants the arm to be: a smooth curve through the rows of a chunk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_safety.core.compiled import compiled, plain
from vla_safety.core.limits import Array

CATMULL = 0.5
"""Catmull-Rom: the slope at a row is half the difference of its neighbours."""

MONOTONE = 3.0


def evaluate(knots: Any, slopes: Any, late: int, every: int, step: int, q: Any, v: Any) -> None:
    """Fill the rows of ``q`` and ``v`` (n, joints): row k is ``late + k * every`` ns on the curve.

    ``step`` [ns] lies between the knots; ``slopes`` are per step.
    """
    last = len(knots) - 2
    for k in range(len(q)):
        time = late + k * every
        i = min(max(time // step, 0), last)
        u = min(max((time - i * step) / step, 0.0), 1.0)
        still = time < 0 or time >= (last + 1) * step
        for j in range(len(q[k])):
            m0, m1 = slopes[i][j], slopes[i + 1][j]
            d = knots[i + 1][j] - knots[i][j]
            c2, c3 = 3.0 * d - 2.0 * m0 - m1, m0 + m1 - 2.0 * d
            q[k][j] = knots[i][j] + u * (m0 + u * (c2 + u * c3))
            slope = m0 + u * (2.0 * c2 + 3.0 * u * c3)
            v[k][j] = 0.0 if still else slope / (step * 1e-9)


def incline(knots: Any, slopes: Any) -> None:
    """Fill ``slopes`` (n, joints): what :func:`through` says of the curve at each knot."""
    last = len(knots) - 1
    for j in range(len(knots[0])):
        slopes[0][j] = knots[1][j] - knots[0][j]
        slopes[last][j] = knots[last][j] - knots[last - 1][j]
        for i in range(1, last):
            before, after = knots[i][j] - knots[i - 1][j], knots[i + 1][j] - knots[i][j]
            bound = MONOTONE * min(abs(before), abs(after)) if before * after > 0.0 else 0.0
            slopes[i][j] = min(max(CATMULL * (before + after), -bound), bound)


evaluate = compiled(evaluate)
incline = compiled(incline)


@dataclass(frozen=True, eq=False)
class Reference:
    """Cubic curve through ``knots`` (n >= 2, joints), knot i due at ``start_ns + i * step_ns``.

    Before the first and after the last knot it stands still.
    """

    start_ns: int
    step_ns: int
    knots: Array
    slopes: Array

    @property
    def end_ns(self) -> int:
        """Time of the last knot."""
        return self.start_ns + (len(self.knots) - 1) * self.step_ns

    def sample(self, first_ns: int, step_ns: int, count: int) -> tuple[Array, Array]:
        """Return positions and velocities, each (count, joints), at equally spaced times."""
        shape = (count, self.knots.shape[1])
        q, v = plain(np.empty(shape)), plain(np.empty(shape))
        knots, slopes = plain(self.knots), plain(self.slopes)
        evaluate(knots, slopes, first_ns - self.start_ns, step_ns, self.step_ns, q, v)
        return np.asarray(q), np.asarray(v)

    def position(self, at_ns: int) -> Array:
        """Return the position (joints,) at a time, as :meth:`sample` does for many."""
        return self.sample(at_ns, 0, 1)[0][0]


def through(knots: Array, start_ns: int, step_ns: int) -> Reference:
    """Return the curve through ``knots`` (n >= 2, joints); it never overshoots them.

    Slopes are Catmull-Rom's, limited so that each piece is monotone (Fritsch and Carlson, SIAM
    J. Numer. Anal. 17, 1980): zero where the direction turns, at most three times either side's.
    """
    slopes = plain(np.empty_like(knots))
    incline(plain(knots), slopes)
    return Reference(start_ns, step_ns, knots, np.asarray(slopes))
