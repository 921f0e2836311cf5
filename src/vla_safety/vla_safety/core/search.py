"""Looking at as few rows of a path as it takes to know that nothing falls below its floor.

Between two rows a distance changes by at most sum_i reach_i |dq_i|
(:meth:`vla_safety.core.kinematics.Arm.reach`), as no point of a body moves further: with T the
sum of that over the steps between rows i and j, no row between them has a distance below
(d_i + d_j - T) / 2. Rows are halved until that bound settles it. (Conservative bounds of motion:
Schwarzer, Saha, Latombe, "Adaptive dynamic collision checking for single and multiple articulated
robots in complex environments", IEEE Trans. Robotics 21, 2005.)

Plain lists: of a handful of pairs they are faster than NumPy's calls.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vla_safety.core.limits import Array
from vla_safety.core.probe import Probe


class Near(NamedTuple):
    """Pairs that may come near on a path; values in the order of ``pairs``.

    ``start`` [m]: their distances at its beginning, ``way`` [m]: how far these can change on it.
    """

    pairs: list[int]
    start: list[float]
    way: list[float]


Span = tuple[int, int, list[int], list[float], list[float]]
"""Two rows, the pairs that may be too near between them, and their distances in both."""


def below(values: list[float], floor: list[float]) -> bool:
    """Return whether a value is not at or above its floor; one that is not a number never is."""
    for value, lowest in zip(values, floor):  # noqa: SIM110  (any() costs twice as much)
        if not value >= lowest:
            return True
    return False


class Search:
    """Of the pairs of ``near``, each with its ``floor`` [m].

    ``steps`` (rows - 1, joints) are the sizes of the steps between the rows of
    ``configurations``, ``reach`` (all pairs, joints) is that of the pairs.
    """

    def __init__(
        self,
        probe: Probe,
        configurations: Array,
        steps: Array,
        reach: Array,
        near: Near,
        floor: list[float],
    ) -> None:
        self._probe = probe
        self._configurations = configurations
        self._steps = steps
        self._reach = reach
        self._near = near
        self._floor = floor
        self._travel: dict[int, list[float]] = {}
        self.rows = 0  # looked at between the first and the last

    def lowest(self) -> list[float]:
        """Return the smallest distance seen of each pair; ends early when one is too small."""
        near, floor, last = self._near, self._floor, len(self._configurations) - 1
        start = near.start
        end = self._probe.at(self._configurations[last], near.pairs)
        low = [min(a, b) if a == a and b == b else float("nan") for a, b in zip(start, end)]
        if below(low, floor):
            return low
        ways = zip(start, end, near.way, floor)
        open_ = [k for k, (a, b, way, f) in enumerate(ways) if not 0.5 * (a + b - way) >= f]
        if open_ and last > 1:
            self._travel = self._travels(open_)
            whole = (0, last, open_, [start[k] for k in open_], [end[k] for k in open_])
            self._between(whole, low)
        return low

    def _travels(self, pairs: list[int]) -> dict[int, list[float]]:
        """Return for each of ``pairs`` how far its distance can have changed up to each row."""
        reach = self._reach[[self._near.pairs[k] for k in pairs]]
        travel = np.zeros((len(pairs), len(self._configurations)))
        np.cumsum(reach @ self._steps.T, axis=1, out=travel[:, 1:])
        return dict(zip(pairs, travel.tolist()))

    def _between(self, whole: Span, low: list[float]) -> None:
        """Look between two rows and lower ``low`` to what is seen, until all is settled."""
        floor, chosen = self._floor, self._near.pairs
        todo = [whole]
        while todo:
            i, j, pairs, at_i, at_j = todo.pop()
            middle = (i + j) // 2
            found = self._probe.at(self._configurations[middle], [chosen[k] for k in pairs])
            self.rows += 1
            late = False
            for k, x in zip(pairs, found):
                if not x >= low[k]:
                    low[k] = x
                    late = late or not x >= floor[k]
            if late:
                return
            self._add(todo, middle, j, pairs, found, at_j)
            self._add(todo, i, middle, pairs, at_i, found)

    def _add(
        self,
        todo: list[Span],
        i: int,
        j: int,
        pairs: list[int],
        at_i: list[float],
        at_j: list[float],
    ) -> None:
        """Add to ``todo`` which of ``pairs`` may be too near in a row between ``i`` and ``j``."""
        if j - i < 2:
            return
        floor, travel = self._floor, self._travel
        open_ = [
            n
            for n, k in enumerate(pairs)
            if not 0.5 * (at_i[n] + at_j[n] - (travel[k][j] - travel[k][i])) >= floor[k]
        ]
        if open_:
            kept = [pairs[n] for n in open_]
            todo.append((i, j, kept, [at_i[n] for n in open_], [at_j[n] for n in open_]))
