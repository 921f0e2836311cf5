"""Whether a path keeps clear: of itself, of declared objects, of what is outside the workspace.

Every pair of :mod:`vla_safety.core.pairs` has a signed distance d(q) and a limit. A path of rows
q_0 .. q_n passes when in every row

    d(q_k) >= min(limit, d(q_0)) - 1e-9 m:

nothing comes nearer than its limit, and what is nearer already does not come nearer still, so
that motion which leads out always passes. The first row of a path is a row of the path before it;
so, over all paths, no distance falls below the limit, or below what it was when the arm was
enabled.

Few rows need a look. Between two rows a distance changes by at most
sum_i reach_i |dq_i| (:meth:`vla_safety.core.kinematics.Arm.reach`), as no point of a body moves
further: with T the sum of that over the steps between rows i and j, no row between them has a
distance below (d_i + d_j - T) / 2. Rows are halved until that bound settles it. (Conservative
bounds of motion: Schwarzer, Saha, Latombe, "Adaptive dynamic collision checking for single and
multiple articulated robots in complex environments", IEEE Trans. Robotics 21, 2005.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vla_common.core.errors import ConfigError
from vla_common.core.robot import Robot
from vla_common.core.stats import Window
from vla_safety.core.kinematics import Arm
from vla_safety.core.limits import Array
from vla_safety.core.pairs import Pair, Pairs
from vla_safety.core.reasons import Reason

ROUNDING = 1e-9
"""A distance may seem to fall by this much [m] from rounding."""
NEARER = 1e-3
"""What comes nearer by less than this [m] within a path is not slowed for it."""


class Probe:
    """Distances of all pairs at one configuration; not thread safe, each thread has its own."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._model, self._geometry = arm.model, arm.geometry
        self._data = arm.model.createData()
        self._placed = arm.pin.GeometryData(arm.geometry)
        self._place = arm.pin.updateGeometryPlacements
        self._distance = arm.pin.computeDistance
        self._all = range(len(arm.geometry.collisionPairs))

    def at(self, configuration: Array, pairs: Sequence[int] | None = None) -> list[float]:
        """Return the distances [m] of some pairs, of all by default."""
        geometry, placed, distance = self._geometry, self._placed, self._distance
        self._place(self._model, self._data, geometry, placed, configuration)
        chosen = self._all if pairs is None else pairs
        return [distance(geometry, placed, k).min_distance for k in chosen]

    def survey(self, q: Array) -> Array:
        """Return the distances [m] (pairs,) at commanded positions (joints,)."""
        return np.array(self.at(self._arm.configurations(q[None, :])[0]))


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    ``blocked``: the reason why the path must not be let out, else None. ``pair`` and
    ``distance`` [m]: the first that failed. ``ease`` 0..1: by how much velocity is to be scaled,
    as something is near and comes nearer.
    """

    blocked: Reason | None
    pair: int
    distance: float
    ease: float


FREE = Finding(None, -1, float("nan"), 1.0)


class Clearance:
    """Checks paths; remembers the last refusal for diagnostics."""

    def __init__(
        self, robot: Robot, arm: Arm, clock_ns: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        """``clock_ns`` measures what a check costs, and decides nothing."""
        settings = robot.surroundings.kinematics
        self.arm = arm
        self.pairs: tuple[Pair, ...] = Pairs(robot, arm).all()
        self.limit = np.array([pair.limit for pair in self.pairs])
        self.span = settings.slow_distance - settings.stop_distance
        self.check_ms = Window(2048)
        self.refused: Finding | None = None
        self.searched = 0  # rows looked at between the first and the last, of all checks
        self._slowest = settings.slowest
        self._reach = np.array([p.reach for p in self.pairs]).reshape(-1, len(robot.joints))
        self._seen = np.full(len(self.pairs), -np.inf)  # distance when a pair was last looked at
        self._seen_at = np.zeros_like(self._reach)  # and the positions (pairs, joints) then
        self._slow = self.limit + self.span
        self._probe = Probe(arm)
        self._clock_ns = clock_ns

    def check(self, rows: Array) -> Finding:
        """Return whether a path of positions (n, joints) keeps clear."""
        begun_ns = self._clock_ns()
        found = self._check(rows) if self.pairs else FREE
        if found.blocked is not None:
            self.refused = found
        self.check_ms.add((self._clock_ns() - begun_ns) * 1e-6)
        return found

    def _check(self, rows: Array) -> Finding:
        if len(rows) < 2:
            return FREE
        configurations = self.arm.configurations(rows)
        travel = np.empty((len(rows), len(self.pairs)))
        travel[0] = 0.0
        np.cumsum(np.abs(np.diff(rows, axis=0)) @ self._reach.T, axis=0, out=travel[1:])
        near = self._near(rows[0], configurations[0], travel[-1])
        if not near:
            return FREE
        start = self._seen[near]
        floor = np.minimum(self.limit[near], start) - ROUNDING
        search = _Search(self._probe, configurations, travel[:, near], near, floor.tolist())
        low = np.array(search.lowest(start.tolist()))
        self.searched += search.rows
        late = ~(low >= floor)
        if late.any():
            worst = int(np.argmin(np.where(late, low - floor, np.inf)))
            index = near[worst]
            return Finding(self.pairs[index].reason, index, float(low[worst]), self._slowest)
        nearer = low < start - NEARER
        if not nearer.any():
            return FREE
        share = (low - self.limit[near])[nearer].min() / self.span
        ease = self._slowest + (1.0 - self._slowest) * min(max(float(share), 0.0), 1.0)
        return Finding(None, -1, float("nan"), ease)

    def _near(self, q: Array, configuration: Array, way: Array) -> list[int]:
        """Return the pairs that may come near on a ``way`` (pairs,) from ``q``, looked at there.

        What was seen before, less what the arm can have moved since, is enough for the others.
        """
        moved = np.einsum("ij,ij->i", np.abs(q - self._seen_at), self._reach)
        # Not "<": a distance that is not a number is near.
        unsure = np.flatnonzero(~(self._seen - moved - way >= self._slow))
        if not len(unsure):
            return []
        self._seen[unsure] = self._probe.at(configuration, unsure.tolist())
        self._seen_at[unsure] = q
        near: list[int] = unsure[~(self._seen - way >= self._slow)[unsure]].tolist()
        return near


class _Search:
    """Looks at as many rows of a path as it takes to know that no pair falls below its floor."""

    def __init__(
        self, probe: Probe, configurations: Array, travel: Array, pairs: list[int], floor: list
    ) -> None:
        self._probe = probe
        self._configurations = configurations
        self._travel = travel  # (rows, pairs)
        self._pairs = pairs
        self._floor = floor
        self.rows = 0

    def lowest(self, start: list[float]) -> list[float]:
        """Return the smallest distance seen of each pair; ends early when one is too small."""
        last = len(self._configurations) - 1
        every = list(range(len(self._pairs)))
        end = self._look(last, every)
        low = [min(a, b) if a == a and b == b else float("nan") for a, b in zip(start, end)]
        if any(not x >= f for x, f in zip(low, self._floor)):
            return low
        todo = [(0, last, every, start, end)]
        while todo:
            i, j, pairs, at_i, at_j = todo.pop()
            open_ = self._unsettled(i, j, pairs, at_i, at_j)
            if not open_:
                continue
            middle = (i + j) // 2
            chosen = [pairs[k] for k in open_]
            found = self._look(middle, chosen)
            self.rows += 1
            for k, x in zip(chosen, found):
                low[k] = x if not x >= low[k] else low[k]
            if any(not x >= self._floor[k] for k, x in zip(chosen, found)):
                return low
            todo.append((middle, j, chosen, found, [at_j[k] for k in open_]))
            todo.append((i, middle, chosen, [at_i[k] for k in open_], found))
        return low

    def _look(self, row: int, pairs: list[int]) -> list[float]:
        return self._probe.at(self._configurations[row], [self._pairs[k] for k in pairs])

    def _unsettled(
        self, i: int, j: int, pairs: list[int], at_i: list[float], at_j: list[float]
    ) -> list[int]:
        """Return which of ``pairs`` may be too near in a row between ``i`` and ``j``."""
        if j - i < 2:
            return []
        way = (self._travel[j, pairs] - self._travel[i, pairs]).tolist()
        floor = self._floor
        return [
            n for n, k in enumerate(pairs) if not 0.5 * (at_i[n] + at_j[n] - way[n]) >= floor[k]
        ]


def load(
    robot: Robot,
    package_dirs: Sequence[str] = (),
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> Clearance | None:
    """Return the checks of a robot; None where its file switches them off or names no URDF.

    ``package_dirs`` hold the packages that the URDF's meshes are in.
    Raises :class:`ConfigError`: Pinocchio is missing, a name is unknown, or the arm is too near
    to something in its home posture.
    """
    if not robot.surroundings.kinematics.enabled or robot.urdf_path is None:
        return None
    clearance = Clearance(robot, Arm(robot, robot.urdf_path, package_dirs), clock_ns)
    _check_home(robot, clearance)
    return clearance


def _check_home(robot: Robot, clearance: Clearance) -> None:
    home = robot.identity.home
    if not home:
        raise ConfigError(
            robot.source, "robot.home", home, "required: the kinematic checks are tried out there"
        )
    found = Probe(clearance.arm).survey(np.array(home))
    bad = [k for k in range(len(found)) if not found[k] >= clearance.limit[k]]
    if not bad:
        return
    outside = [k for k in bad if clearance.pairs[k].reason is Reason.WORKSPACE]
    if outside:
        frame, _, zone = clearance.pairs[outside[0]].name.partition(":")
        raise ConfigError(
            robot.source,
            zone,
            round(float(found[outside[0]]), 4),
            f">= 0: distance [m] of {frame} from the boundary at robot.home",
        )
    near = ", ".join(f"{clearance.pairs[k].name} ({found[k]:.3f} m)" for k in bad)
    raise ConfigError(
        robot.source,
        "kinematics.exclude_pairs",
        list(robot.surroundings.kinematics.exclude_pairs),
        f"to name pairs that may touch; at robot.home these are nearer than stop_distance: {near}",
    )
