"""One inference: features, words and joints in, an action chunk out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vla_common.core.chunk import Chunk
from vla_common.core.trace import Trace
from vla_inference.core.backend import Backend
from vla_inference.core.bundle import Bundle
from vla_inference.core.rtc import prefix_weights


@dataclass(frozen=True)
class Observation:
    """What the policy sees: features (C, N, D) float32, tokens (L,) int64, joints (J,) float32."""

    features: np.ndarray
    tokens: np.ndarray
    joints: np.ndarray
    capture_ns: int
    stamp_ns: int
    trace: Trace


class PolicyEngine:
    """Runs the policy; row i of its chunk is due i + 1 steps after capture."""

    def __init__(self, bundle: Bundle, backend: Backend, seed: int = 0) -> None:
        self.bundle = bundle
        self.step_ns = round(bundle.step_dt * 1e9)
        self._backend = backend
        self._random = np.random.default_rng(seed)
        shape = (bundle.horizon, len(bundle.joints))
        self._noise = np.zeros(shape, dtype=np.float32)
        self._no_prev = np.zeros(shape, dtype=np.float32)
        self._no_weights = np.zeros(bundle.horizon, dtype=np.float32)

    def row_times(self, capture_ns: int) -> np.ndarray:
        """Return when the rows of a chunk are due, (horizon,) int64."""
        steps = np.arange(1, self.bundle.horizon + 1, dtype=np.int64)
        return capture_ns + steps * self.step_ns

    def infer(
        self,
        observation: Observation,
        previous: np.ndarray | None = None,
        delay: int = 0,
        blend: int = 0,
    ) -> np.ndarray:
        """Return positions (H, J) float64.

        ``previous`` (H, J) is the running plan at this chunk's row times: the first ``delay``
        rows are bound to it, the next ``blend`` ever less. Raises FloatingPointError when the
        policy gives a value that is not finite.
        """
        self._random.standard_normal(out=self._noise, dtype=np.float32)
        prev, weights = self._no_prev, self._no_weights
        if previous is not None:
            prev = previous.astype(np.float32)
            weights = prefix_weights(self.bundle.horizon, delay, delay + blend)
        chunk = self._backend.policy(
            observation.features, observation.tokens, observation.joints, self._noise, prev, weights
        )
        positions = np.asarray(chunk, dtype=np.float64)
        if not np.isfinite(positions).all():
            raise FloatingPointError("the policy gave a value that is not finite")
        return positions

    def chunk(
        self, observation: Observation, positions: np.ndarray, epoch: int, seq: int, now_ns: int
    ) -> Chunk:
        """Return the chunk of ``positions``, ready at ``now_ns``."""
        return Chunk(
            epoch=epoch,
            seq=seq,
            joint_names=self.bundle.joints,
            step_dt=self.bundle.step_dt,
            start_ns=observation.capture_ns + self.step_ns,
            positions=positions,
            capture_ns=observation.capture_ns,
            stamp_ns=observation.stamp_ns,
            model_id=self.bundle.model_id,
            trace=replace(observation.trace, inference_ns=now_ns),
        )
