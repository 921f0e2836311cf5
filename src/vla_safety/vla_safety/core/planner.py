"""Verified paths out of references: motion along the plan, then a stop tail."""

from __future__ import annotations

import numpy as np

from vla_common.core.errors import ConfigError
from vla_common.core.robot import Safety
from vla_safety.core.compiled import warm_up
from vla_safety.core.limiter import Limiter
from vla_safety.core.limits import Array, Limits, Mask
from vla_safety.core.path import Path, stop_rows
from vla_safety.core.reference import Reference, through


class Planner:
    """Makes paths on one grid."""

    def __init__(self, limits: Limits, safety: Safety, where: str = "robot file") -> None:
        self.step_ns = round(safety.step_ms * 1e6)
        self.dt = self.step_ns * 1e-9
        self.ahead = max(1, round(safety.lookahead_ms / safety.step_ms))
        stop_time = (safety.max_horizon_ms - self.ahead * safety.step_ms) * 1e-3
        if stop_time < self.dt * (1.0 - 1e-9):
            raise ConfigError(
                where,
                "safety.max_horizon_ms",
                safety.max_horizon_ms,
                f">= lookahead_ms + step_ms = {safety.lookahead_ms + safety.step_ms:g}",
            )
        self.hard = limits
        self.limits = limits.for_grid(self.dt, stop_time)
        self.limiter = Limiter(self.limits, self.dt, safety.follow_ms * 1e-3)
        warm_up(self._first)

    @property
    def held(self) -> Mask:
        """Joints that a limit held back in the last :meth:`follow`, (joints,)."""
        return self.limiter.held

    def follow(
        self, q: Array, v: Array, switch_ns: int, reference: Reference, scale: float
    ) -> tuple[Path, float]:
        """Return the path from the safe state (q, v) at ``switch_ns`` along ``reference``.

        ``scale`` 0..1 multiplies velocity limits. Also returned: the smallest factor by which a
        change of velocity was scaled.
        """
        sample_q, sample_v = reference.sample(switch_ns, self.step_ns, self.ahead + 1)
        rows_q, rows_v, factor = self.limiter.steps(q, v, sample_q, sample_v, scale)
        return self._with_tail(rows_q, rows_v, switch_ns), factor

    def stop(self, q: Array, v: Array, switch_ns: int) -> Path:
        """Return the path that stops from the safe state (q, v) at once."""
        return self._with_tail(q[None, :], v[None, :], switch_ns)

    def _first(self) -> None:
        """Follow something that stands still."""
        rows = np.zeros((2, self.limits.joints))
        self.follow(rows[0], rows[0], 0, through(rows, 0, self.step_ns), 0.0)

    def _with_tail(self, rows_q: Array, rows_v: Array, start_ns: int) -> Path:
        tail_q, tail_v = stop_rows(rows_q[-1], rows_v[-1], self.limits, self.dt)
        q, v = np.concatenate((rows_q, tail_q)), np.concatenate((rows_v, tail_v))
        return Path(start_ns, self.step_ns, q, v, len(rows_q))
