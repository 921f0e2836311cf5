"""Faults of the simulated joints, set while running: held fast, or measured beside where they are.

Thread safe: what :meth:`ArmFaults.set` takes is complete before a control cycle sees it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from vla_common.core.errors import ConfigError
from vla_sim.core.arm import Array

ABOUT = {
    "held": "joints that stand fast whatever they are told, to test what happens (comma-separated)",
    "offset": "joint=value [rad or m] added to what is measured of it, likewise (comma-separated)",
}


class ArmFaults:
    """Which joints are at fault; without any, nothing is changed by a single bit."""

    def __init__(self, joints: Sequence[str]) -> None:
        self._joints = tuple(joints)
        self._held = np.zeros(len(self._joints), dtype=np.bool_)
        self._offset = np.zeros(len(self._joints))
        self._seen = self._held  # at the last cycle, and where these joints were then
        self._where = self._offset

    def set(self, kind: str, value: str) -> None:
        """Take a comma-separated list for one of ``ABOUT``. Raises ConfigError."""
        items = [item.strip() for item in value.split(",") if item.strip()]
        if kind == "held":
            held = np.zeros_like(self._held)
            held[[self._index(kind, item, item) for item in items]] = True
            self._held = held
        else:
            offset = np.zeros_like(self._offset)
            for item in items:
                name, _, number = item.partition("=")
                offset[self._index(kind, item, name.strip())] = _finite(kind, item, number)
            self._offset = offset

    def _index(self, kind: str, item: str, name: str) -> int:
        if name not in self._joints:
            raise ConfigError("sim_arm", kind, item, "joints: " + ", ".join(self._joints))
        return self._joints.index(name)

    def driven(self, desired: Array, actual: Array) -> Array:
        """Return where the servos go (joints,): held joints to where they were at first."""
        held = self._held
        if self._seen is not held:
            self._seen, self._where = held, actual.copy()
        if not held.any():
            return desired
        return np.asarray(np.where(held, self._where, desired))

    def measured(self, actual: Array) -> Array:
        """Return what the encoders say (joints,) of where the joints are."""
        return np.asarray(actual + self._offset)


def _finite(kind: str, item: str, number: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError("sim_arm", kind, item, "joint=number, as in joint2=0.02")
    return value
