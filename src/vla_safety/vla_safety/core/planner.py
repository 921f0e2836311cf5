"""Verified paths out of references: motion along the plan, then a stop tail."""

from __future__ import annotations

import numpy as np

from vla_common.core.errors import ConfigError
from vla_common.core.robot import Safety
from vla_safety.core.limiter import RESERVE, Limiter
from vla_safety.core.limits import Array, Limits
from vla_safety.core.path import Path, stop_rows
from vla_safety.core.reference import Reference
from vla_safety.core.unhindered import Unhindered


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
        approach = RESERVE * np.minimum(self.limits.a_max, self.limits.d_max)
        self.unhindered = Unhindered(
            self.limits, self.dt, self.ahead, self.limiter.gain, self.limiter.damping, approach
        )
        self._none_held = np.zeros(limits.joints, dtype=np.bool_)
        self.held = self._none_held
        """Joints that a limit held back in the last :meth:`follow`, (joints,)."""

    def follow(
        self, q: Array, v: Array, switch_ns: int, reference: Reference, scale: float
    ) -> tuple[Path, float]:
        """Return the path from the safe state (q, v) at ``switch_ns`` along ``reference``.

        ``scale`` 0..1 multiplies velocity limits. Also returned: the smallest factor by which a
        change of velocity was scaled.
        """
        sample_q, sample_v = reference.sample(switch_ns, self.step_ns, self.ahead + 1)
        rows = self.unhindered.rows(q, v, sample_q, sample_v, scale)
        if rows is not None:
            self.held = self._none_held
            return self._with_tail(*rows, switch_ns), 1.0
        ref_q, ref_v = sample_q.tolist(), sample_v.tolist()
        rows_q, rows_v = [q.tolist()], [v.tolist()]
        limiter, factor = self.limiter, 1.0
        limiter.held = [False] * len(q)
        for i in range(self.ahead):
            q_next, v_next, scaled = limiter.step(
                rows_q[i], rows_v[i], ref_q[i], ref_v[i], ref_v[i + 1], scale
            )
            rows_q.append(q_next)
            rows_v.append(v_next)
            factor = min(factor, scaled)
        self.held = np.array(limiter.held)
        return self._with_tail(np.array(rows_q), np.array(rows_v), switch_ns), factor

    def stop(self, q: Array, v: Array, switch_ns: int) -> Path:
        """Return the path that stops from the safe state (q, v) at once."""
        return self._with_tail(q[None, :], v[None, :], switch_ns)

    def _with_tail(self, rows_q: Array, rows_v: Array, start_ns: int) -> Path:
        tail_q, tail_v = stop_rows(rows_q[-1], rows_v[-1], self.limits, self.dt)
        q, v = np.vstack((rows_q, tail_q)), np.vstack((rows_v, tail_v))
        return Path(start_ns, self.step_ns, q, v, len(rows_q))
