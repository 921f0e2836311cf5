"""A verified path as the gate sends it, before anything about it is believed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from vla_common.core.trace import Trace


class GateState(IntEnum):
    """States of the safety gate; the constants of vla_msgs/SafetyState."""

    INACTIVE = 0
    READY = 1
    ACTIVE = 2
    SLOW = 3
    HOLD = 4
    STOPPING = 5
    LATCHED = 6


STATES = frozenset(GateState)


@dataclass(frozen=True, slots=True)
class SafePath:
    """The fields of one SafeAction, unchecked.

    ``positions`` [rad or m] and ``velocities`` [rad/s or m/s] are flat, row-major
    (horizon x joints); row i is due at ``start_ns + i * step_dt`` of CLOCK_MONOTONIC.
    """

    epoch: int
    seq: int
    joint_names: tuple[str, ...]
    step_dt: float
    horizon: int
    tail_start: int
    start_ns: int
    positions: np.ndarray
    velocities: np.ndarray
    valid_until_ns: int
    state: int
    measured: bool = False
    trace: Trace = field(default_factory=Trace)

    @property
    def step_ns(self) -> int:
        """Nanoseconds between rows."""
        return round(self.step_dt * 1e9)

    @property
    def end_ns(self) -> int:
        """Time at which the last row is due."""
        return self.start_ns + (self.horizon - 1) * self.step_ns

    def rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return due times (horizon,) int64 [ns], positions and velocities (horizon, joints).

        Raises ValueError when the sizes disagree, for which ``checks.check`` looks before.
        """
        shape = (self.horizon, len(self.joint_names))
        times = self.start_ns + np.arange(self.horizon, dtype=np.int64) * self.step_ns
        return times, self.positions.reshape(shape), self.velocities.reshape(shape)
