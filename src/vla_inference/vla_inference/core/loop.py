"""The inference loop without threads: observations in, chunks into the player, plans out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vla_common.core.chunk import Chunk
from vla_common.core.robot import Control
from vla_common.core.stats import Window
from vla_inference.core.engine import Observation, PolicyEngine
from vla_inference.core.latency import DelayEstimator
from vla_inference.core.player import ActionPlayer


class InferenceLoop:
    """Joins engine and player. :meth:`infer` and :meth:`tick` run on different threads.

    The plan belongs to an epoch. When the gate voids epochs, :meth:`void` raises it and drops the
    plan; a chunk whose inference had begun before is then dropped too.
    """

    def __init__(
        self, engine: PolicyEngine, player: ActionPlayer, control: Control, epoch: int
    ) -> None:
        self.epoch = epoch
        self.delay = DelayEstimator()
        self.infer_ms = Window(2048)
        self.not_finite = 0
        self.chunks = 0
        self.newest_chunk_ns = 0
        self._engine = engine
        self._player = player
        self._control = control
        self._lock = threading.Lock()
        self._bind = True
        self._dropped = 0

    @property
    def late(self) -> int:
        """Chunks that were too old to be played."""
        return self._player.late

    def instruction_changed(self) -> None:
        """Let the next chunk follow the new words at once, bound to no old intention."""
        with self._lock:
            self._bind = False

    def void(self, min_epoch: int) -> bool:
        """Take over the lowest epoch that the gate accepts; return whether the plan was dropped."""
        with self._lock:
            if min_epoch <= self.epoch:
                return False
            self.epoch = min_epoch
            self._player.reset()
            return True

    def drop(self) -> None:
        """Drop the plan; also that of an inference under way."""
        with self._lock:
            self._player.reset()
            self._dropped += 1

    def restart(self) -> None:
        """Drop the plan, for a start after a pause."""
        with self._lock:
            self.epoch += 1
            self._player.reset()

    def infer(self, observation: Observation, clock: Callable[[], int]) -> Chunk | None:
        """Run the policy and join its chunk to the plan; return the raw chunk.

        None when the chunk was not finite, or its epoch was voided meanwhile.
        """
        with self._lock:
            begun = self.epoch, self._dropped
            previous, delay, blend = self._previous(observation.capture_ns)
        start_ns = clock()
        try:
            positions = self._engine.infer(observation, previous, delay, blend)
        except FloatingPointError:
            self.not_finite += 1
            return None
        now_ns = clock()
        self.infer_ms.add((now_ns - start_ns) * 1e-6)
        self.delay.add(now_ns - observation.capture_ns)
        with self._lock:
            if begun != (self.epoch, self._dropped):
                return None
            self.chunks += 1
            observation = replace(
                observation, trace=replace(observation.trace, inference_start_ns=start_ns)
            )
            chunk = self._engine.chunk(observation, positions, self.epoch, self.chunks, now_ns)
            self._player.add(chunk, now_ns)
            self._bind = True
            self.newest_chunk_ns = now_ns
            return chunk

    def tick(self, now_ns: int) -> Chunk | None:
        """Return the plan from now on, None when there is none."""
        with self._lock:
            plan = self._player.tick(now_ns)
        return None if plan is None else replace(plan, trace=replace(plan.trace, action_ns=now_ns))

    def _previous(self, capture_ns: int) -> tuple[np.ndarray | None, int, int]:
        if self._control.blend != "rtc":
            return None, 0, 0
        previous = self._player.at(self._engine.row_times(capture_ns))
        horizon = self._engine.bundle.horizon
        delay = self.delay.steps(self._engine.bundle.step_dt, horizon // 2)
        return previous, delay, self._control.blend_steps if self._bind else 0
