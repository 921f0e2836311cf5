"""Distances of all pairs at one configuration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vla_common.core.errors import ConfigError
from vla_safety.core.kinematics import Arm
from vla_safety.core.limits import Array

AGREE = 1e-4
"""Two looks at one distance differ by less [m], as GJK ends within about 1e-6 of it; a result that
was left behind is off by more."""


class Probe:
    """Measures distances; not thread safe, each thread has its own.

    One call into Pinocchio measures all pairs, several times faster than one call for each. Its
    results are read through references to where Pinocchio keeps them; raises
    :class:`ConfigError` when these do not follow, as by a version that returns copies.
    """

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._model, self._geometry = arm.model, arm.geometry
        self._data = arm.model.createData()
        self._placed = arm.pin.GeometryData(arm.geometry)
        self._place = arm.pin.updateGeometryPlacements
        self._distance = arm.pin.computeDistance
        self._distances = arm.pin.computeDistances
        joints = arm.drive.gain.shape[1]
        here, there = arm.configurations(np.outer((0.0, 0.3), np.ones(joints)))
        self._place(self._model, self._data, self._geometry, self._placed, here)
        pairs = range(len(arm.geometry.collisionPairs))
        self._results = [self._distance(self._geometry, self._placed, k) for k in pairs]
        self._check_results(there)

    def _check_results(self, configuration: Array) -> None:
        """Raise :class:`ConfigError` unless all pairs at once are as each of them alone."""
        found = self.at(configuration)
        alone = self.at(configuration, range(len(found)))
        if not all(abs(x - y) <= AGREE for x, y in zip(found, alone)):
            raise ConfigError(
                self._arm.where,
                "kinematics.enabled",
                True,
                "a Pinocchio whose computeDistance returns a reference, which "
                f"{self._arm.pin.__version__} does not",
            )

    def at(self, configuration: Array, pairs: Sequence[int] | None = None) -> list[float]:
        """Return the distances [m] of some pairs, of all by default."""
        geometry, placed, distance = self._geometry, self._placed, self._distance
        if pairs is None:
            self._distances(self._model, self._data, geometry, placed, configuration)
            return [result.min_distance for result in self._results]
        self._place(self._model, self._data, geometry, placed, configuration)
        return [distance(geometry, placed, k).min_distance for k in pairs]

    def survey(self, q: Array) -> Array:
        """Return the distances [m] (pairs,) at commanded positions (joints,)."""
        return np.array(self.at(self._arm.configurations(q[None, :])[0]))
