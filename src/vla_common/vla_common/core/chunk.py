"""An action chunk: joint targets at fixed steps."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vla_common.core.trace import Trace


@dataclass(frozen=True)
class Chunk:
    """A plan of ``positions`` (horizon, joints) [rad or m]; row i is due at start + i * step_dt.

    ``capture_ns`` is the monotonic capture time of the oldest image used, ``stamp_ns`` the same
    in ROS time. ``positions`` is not to be written to.
    """

    epoch: int
    seq: int
    joint_names: tuple[str, ...]
    step_dt: float
    start_ns: int
    positions: np.ndarray
    capture_ns: int
    stamp_ns: int
    confidence: float = 1.0
    model_id: str = ""
    trace: Trace = field(default_factory=Trace)

    @property
    def horizon(self) -> int:
        """Number of rows."""
        return int(self.positions.shape[0])

    @property
    def step_ns(self) -> int:
        """Nanoseconds between rows."""
        return round(self.step_dt * 1e9)

    @property
    def end_ns(self) -> int:
        """Time at which the last row is due."""
        return self.start_ns + (self.horizon - 1) * self.step_ns
