"""Whether a path keeps clear: of itself, of declared objects, of what is outside the workspace.

Every pair of :mod:`vla_safety.core.pairs` has a signed distance d(q) and a limit. A path of rows
q_0 .. q_n passes when in every row

    d(q_k) >= min(limit, d(q_0)) - 1e-9 m:

nothing comes nearer than its limit, and what is nearer already does not come nearer still, so
that motion which leads out always passes. The first row of a path is a row of the path before it;
so, over all paths, no distance falls below the limit, or below what it was when the arm was
enabled.

All pairs are looked at in the first row. What is further away there than bodies can move on the
path needs no other look; for the rest :mod:`vla_safety.core.search` looks at as few rows as it
takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vla_common.core.errors import ConfigError
from vla_common.core.robot import Robot
from vla_common.core.stats import Window
from vla_common.core.surroundings import needs_urdf
from vla_safety.core.kinematics import Arm
from vla_safety.core.limits import Array
from vla_safety.core.pairs import Pair, Pairs
from vla_safety.core.probe import Probe
from vla_safety.core.reasons import Reason
from vla_safety.core.search import Near, Search, below

ROUNDING = 1e-9
"""A distance may seem to fall by this much [m] from rounding."""
NEARER = 1e-3
"""What comes nearer by less than this [m] within a path is not slowed for it."""


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
        self._limits: list[float] = self.limit.tolist()
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
        steps = rows[1:] - rows[:-1]
        np.abs(steps, out=steps)
        near = self._near(configurations[0], np.add.reduce(steps))
        if near is None:
            return FREE
        limit = self._limits
        floor = [min(limit[k], x) - ROUNDING for k, x in zip(near.pairs, near.start)]
        search = Search(self._probe, configurations, steps, self._reach, near, floor)
        low = search.lowest()
        self.searched += search.rows
        if below(low, floor):
            return self._blocked(near.pairs, low, floor)
        rooms = [
            x - limit[k] for k, x, start in zip(near.pairs, low, near.start) if x < start - NEARER
        ]
        if not rooms:
            return FREE
        ease = self._slowest + (1.0 - self._slowest) * min(max(min(rooms) / self.span, 0.0), 1.0)
        return Finding(None, -1, float("nan"), ease)

    def _near(self, configuration: Array, travel: Array) -> Near | None:
        """Return the pairs that may come near on a path.

        It begins at ``configuration`` and moves each joint by ``travel`` (joints,), to and fro.
        """
        start = np.array(self._probe.at(configuration))
        way = self._reach @ travel
        # Not "<": a distance that is not a number is near.
        near = (~(start - way >= self._slow)).nonzero()[0]
        if not near.size:
            return None
        return Near(near.tolist(), start[near].tolist(), way[near].tolist())

    def _blocked(self, pairs: list[int], low: list[float], floor: list[float]) -> Finding:
        """Return the refusal for the pair that is furthest below its floor."""
        room = np.array(low) - floor
        worst = int(np.argmin(np.where(room >= 0.0, np.inf, room)))
        return Finding(self.pairs[pairs[worst]].reason, pairs[worst], low[worst], self._slowest)


def load(
    robot: Robot,
    package_dirs: Sequence[str] = (),
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> Clearance | None:
    """Return the checks of a robot; None where its file switches them off.

    ``package_dirs`` hold the packages that the URDF's meshes are in.
    Raises :class:`ConfigError`: there is no URDF, Pinocchio is missing, a name is unknown, or the
    arm is too near to something in its home posture.
    """
    if not robot.surroundings.kinematics.enabled:
        return None
    if robot.urdf_path is None:
        raise needs_urdf(robot.source)
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
