"""Verified paths out of references: motion along the plan, then a stop tail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from vla_common.core.errors import ConfigError
from vla_common.core.robot import Safety

from vla_safety.core.limiter import Limiter
from vla_safety.core.limits import Array, Limits
from vla_safety.core.path import Path, stop_rows
from vla_safety.core.reference import Reference


@dataclass(frozen=True)
class Effort:
    """How hard a path leans on the limits: ratios 0..1 (joints,) and joints held back."""

    velocity: Array
    acceleration: Array
    jerk: Array
    clamped: Array
    scale: float


class Planner:
    """Makes paths on one grid. Not thread safe: the buffers are reused, the results are not."""

    def __init__(self, limits: Limits, safety: Safety, where: str = "robot file") -> None:
        self.step_ns = round(safety.step_ms * 1e6)
        self.dt = self.step_ns * 1e-9
        self.ahead = max(1, round(safety.lookahead_ms / safety.step_ms))
        stop_time = (safety.max_horizon_ms - self.ahead * safety.step_ms) * 1e-3
        if stop_time < self.dt * (1.0 - 1e-9):
            raise ConfigError(
                where, "safety.max_horizon_ms", safety.max_horizon_ms,
                f">= lookahead_ms + step_ms = {safety.lookahead_ms + safety.step_ms:g}",
            )
        self.hard = limits
        self.limits = limits.for_grid(self.dt, stop_time)
        self.limiter = Limiter(self.limits, self.dt, safety.follow_ms * 1e-3)
        self._q = np.zeros((self.ahead + 1, limits.joints))
        self._v = np.zeros((self.ahead + 1, limits.joints))
        self._clamped = np.zeros(limits.joints, dtype=np.bool_)

    def follow(
        self, q: Array, v: Array, switch_ns: int, reference: Reference, scale: float
    ) -> tuple[Path, float, Array]:
        """Return the path from the safe state (q, v) at ``switch_ns`` along ``reference``.

        ``scale`` 0..1 multiplies velocity limits. Also returned: the smallest factor by which a
        change of velocity was scaled, and which joints a limit held back, (joints,) bool.
        """
        rows_q, rows_v = self._q, self._v
        rows_q[0], rows_v[0] = q, v
        ref_q, ref_v = reference.sample(switch_ns, self.step_ns, self.ahead + 1)
        factor = 1.0
        self._clamped[:] = False
        for i in range(self.ahead):
            step = self.limiter.step(
                rows_q[i], rows_v[i], ref_q[i], ref_v[i + 1], scale, rows_q[i + 1], rows_v[i + 1]
            )
            factor = min(factor, step)
            np.logical_or(self._clamped, self.limiter.clamped, out=self._clamped)
        return self._with_tail(rows_q, rows_v, switch_ns), factor, self._clamped

    def stop(self, q: Array, v: Array, switch_ns: int) -> Path:
        """Return the path that stops from the safe state (q, v) at once."""
        return self._with_tail(q[None, :], v[None, :], switch_ns)

    def _with_tail(self, rows_q: Array, rows_v: Array, start_ns: int) -> Path:
        tail_q, tail_v = stop_rows(rows_q[-1], rows_v[-1], self.limits, self.dt)
        q, v = np.vstack((rows_q, tail_q)), np.vstack((rows_v, tail_v))
        return Path(start_ns, self.step_ns, q, v, len(rows_q))

    def effort(self, path: Path, scale: float) -> Effort:
        """Return how near a path comes to the limits as stated in the robot file."""
        hard = self.hard
        a = np.diff(path.v, axis=0) / self.dt
        zero = np.zeros(hard.joints)
        j = np.diff(a, axis=0) / self.dt
        return Effort(
            np.abs(path.v).max(axis=0) / hard.v_max,
            np.abs(a).max(axis=0) / hard.a_max if len(a) else zero,
            np.abs(j).max(axis=0) / hard.j_max if len(j) else zero,
            self._clamped.copy(),
            scale,
        )
