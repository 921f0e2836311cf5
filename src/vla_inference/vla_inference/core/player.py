"""The action player: chunks of the model in, a plan from now on at every tick out.

Chunks are indexed by the capture time of their images, so that latency of camera and model is
taken out by construction. A new chunk joins the plan that runs without a step. When the plan ends
or its images are too old, nothing is given out: downstream this is a stop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_common.core.chunk import Chunk
from vla_common.core.robot import Control

ENSEMBLE_DECAY = 0.01  # ACT (Zhao et al., 2023): w_i = exp(-m i), oldest first
ENSEMBLE_CHUNKS = 8


@dataclass(frozen=True)
class Plan:
    """Rows (n, joints) due at ``times`` (n,) int64, and the chunk they stem from."""

    times: np.ndarray
    rows: np.ndarray
    chunk: Chunk


def sample(times: np.ndarray, rows: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return rows interpolated linearly at ``at`` (m,), held beyond both ends: (m, joints)."""
    index = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 1)
    after = np.minimum(index + 1, len(times) - 1)
    span = np.maximum(times[after] - times[index], 1)
    weight = np.clip((at - times[index]) / span, 0.0, 1.0)[:, None]
    result: np.ndarray = rows[index] * (1.0 - weight) + rows[after] * weight
    return result


def times_of(chunk: Chunk) -> np.ndarray:
    """Return when each row is due, (horizon,) int64."""
    return chunk.start_ns + np.arange(chunk.horizon, dtype=np.int64) * chunk.step_ns


class ActionPlayer:
    """Holds the plan; not thread safe. ``grippers`` are columns that are never blended."""

    def __init__(self, control: Control, grippers: tuple[int, ...] = ()) -> None:
        self._control = control
        self._tick_ns = round(1e9 / control.rate)
        self._max_age_ns = round(control.max_chunk_age_ms * 1e6)
        self._grippers = list(grippers)
        self._steps = np.arange(1, control.plan_steps + 1, dtype=np.int64) * self._tick_ns
        self._plan: Plan | None = None
        self._recent: list[Chunk] = []
        self.seq = 0
        self.late = 0  # chunks that came after the plan had already ended

    @property
    def plan(self) -> Plan | None:
        """The plan that runs, if any."""
        return self._plan

    def reset(self) -> None:
        """Drop the plan: the next chunk is taken as it is."""
        self._plan = None
        self._recent.clear()

    def at(self, times: np.ndarray) -> np.ndarray | None:
        """Return the plan at ``times`` (m,) int64 as (m, joints), None without a plan."""
        if self._plan is None:
            return None
        return sample(self._plan.times, self._plan.rows, times)

    def add(self, chunk: Chunk, now_ns: int) -> bool:
        """Join a chunk to the plan; return False when it is too old to be played at all."""
        times = times_of(chunk)
        if now_ns - chunk.capture_ns > self._max_age_ns or now_ns >= int(times[-1]):
            self.late += 1
            return False
        if self._plan is not None and chunk.capture_ns < self._plan.chunk.capture_ns:
            return True
        rows = np.array(chunk.positions, dtype=np.float64)
        if self._control.blend == "ensemble":
            rows = self._ensemble(chunk, times)
        elif self._control.blend != "none" and self._alive(now_ns):
            rows = self._align(times, rows, now_ns)
        self._plan = Plan(times, rows, chunk)
        return True

    def tick(self, now_ns: int) -> Chunk | None:
        """Return the plan from now on, row 0 due one tick from now; None when there is none."""
        if not self._alive(now_ns):
            return None
        plan = self._plan
        assert plan is not None
        self.seq += 1
        return Chunk(
            epoch=plan.chunk.epoch,
            seq=self.seq,
            joint_names=plan.chunk.joint_names,
            step_dt=self._tick_ns * 1e-9,
            start_ns=now_ns + self._tick_ns,
            positions=sample(plan.times, plan.rows, now_ns + self._steps),
            capture_ns=plan.chunk.capture_ns,
            stamp_ns=plan.chunk.stamp_ns,
            confidence=plan.chunk.confidence,
            model_id=plan.chunk.model_id,
            trace=plan.chunk.trace,
        )

    def _alive(self, now_ns: int) -> bool:
        plan = self._plan
        return (
            plan is not None
            and now_ns < int(plan.times[-1])
            and now_ns - plan.chunk.capture_ns <= self._max_age_ns
        )

    def _align(self, times: np.ndarray, rows: np.ndarray, now_ns: int) -> np.ndarray:
        """Shift the rows so that the plan is continuous at the next tick, fading out."""
        plan = self._plan
        assert plan is not None
        at = np.array([now_ns + self._tick_ns // 2], dtype=np.int64)
        offset = sample(plan.times, plan.rows, at) - sample(times, rows, at)
        offset[:, self._grippers] = 0.0
        fade_ns = self._control.blend_steps * self._tick_ns
        fade = np.clip(1.0 - (times - at[0]) / fade_ns, 0.0, 1.0)[:, None]
        result: np.ndarray = rows + offset * fade
        return result

    def _ensemble(self, chunk: Chunk, times: np.ndarray) -> np.ndarray:
        """Average the chunks that cover each row, the oldest with the largest weight."""
        self._recent = [*self._recent, chunk][-ENSEMBLE_CHUNKS:]
        total = np.zeros(chunk.positions.shape)
        weights = np.zeros((chunk.horizon, 1))
        for age, old in enumerate(self._recent):
            old_times = times_of(old)
            covered = ((times >= old_times[0]) & (times <= old_times[-1]))[:, None]
            weight = np.exp(-ENSEMBLE_DECAY * age) * covered
            total += weight * sample(old_times, np.asarray(old.positions), times)
            weights += weight
        rows: np.ndarray = total / weights
        rows[:, self._grippers] = np.asarray(chunk.positions)[:, self._grippers]
        return rows
