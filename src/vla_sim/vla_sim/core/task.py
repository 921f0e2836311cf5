"""The reach task: go to the cube that the instruction names and stay there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

COLOURS: Final = ("red", "green", "blue")
REACH_RADIUS: Final = 0.03
"""Greatest distance of the tool centre point from a cube's top-face centre that counts [m]."""
DWELL: Final = 0.5
"""How long the tool centre point must stay within the radius [s]."""


def target_in(text: str) -> str | None:
    """Return the colour that an instruction names; None when it names none or several."""
    named = {word for word in re.findall(r"[a-z]+", text.lower()) if word in COLOURS}
    return named.pop() if len(named) == 1 else None


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """State of the task at one moment.

    distances: tool centre point to each cube's top-face centre [m]. dwell: time spent so far
    without a break within the radius of the named cube [s]. success: that time has reached
    ``DWELL`` since the last reset or change of target. reached: the cubes stayed at for ``DWELL``
    since the last reset, in order. successes: how many targets were reached. elapsed: time since
    the reset [s].
    """

    target: str | None
    distances: Mapping[str, float]
    dwell: float
    success: bool
    reached: tuple[str, ...]
    successes: int
    elapsed: float


class ReachTask:
    """Dwell logic on true positions; time is passed in [s]."""

    def __init__(self, now: float = 0.0) -> None:
        self.reset(now)

    def reset(self, now: float) -> None:
        """Forget everything; elapsed time starts at ``now`` [s]."""
        self._start = now
        self._since: dict[str, float] = {}
        self._reached: tuple[str, ...] = ()
        self._target: str | None = None
        self._success = False
        self._successes = 0

    def update(
        self,
        now: float,
        tcp: npt.NDArray[np.float64],
        cubes: Mapping[str, npt.NDArray[np.float64]],
        target: str | None,
    ) -> TaskStatus:
        """Take true positions (3,) [m] at ``now`` [s] and the named colour; return the state."""
        if target != self._target:
            self._target, self._success = target, False
            self._since.pop(target or "", None)
        distances = {name: float(np.linalg.norm(tcp - top)) for name, top in cubes.items()}
        for name, distance in distances.items():
            self._dwell_at(name, distance <= REACH_RADIUS, now)
        dwell = now - self._since[target] if target in self._since else 0.0
        if dwell >= DWELL and not self._success:
            self._success = True
            self._successes += 1
        return TaskStatus(
            target=target,
            distances=distances,
            dwell=dwell,
            success=self._success,
            reached=self._reached,
            successes=self._successes,
            elapsed=now - self._start,
        )

    def _dwell_at(self, name: str, inside: bool, now: float) -> None:
        if not inside:
            self._since.pop(name, None)
            return
        since = self._since.setdefault(name, now)
        if now - since >= DWELL and name not in self._reached:
            self._reached = (*self._reached, name)
