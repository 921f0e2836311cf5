"""Everything that decides what is trained: one frozen recipe, stored in the checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Recipe:
    """Sizes, demonstrations and optimisation.

    image: edge of both cameras' images [px]. horizon, step_dt [s]: the chunk. scenes, states:
    how many scenes are demonstrated and how many states of each are kept. steps, batch, rate,
    decay, average: optimiser steps, images a step, peak learning rate, weight decay, and the
    memory of the weights' moving average.
    """

    seed: int = 0
    image: int = 96
    horizon: int = 16
    step_dt: float = 0.05
    max_tokens: int = 16
    width: int = 32
    queries: int = 4
    text: int = 48
    hidden: int = 256
    scenes: int = 9000
    states: int = 9
    steps: int = 3600
    batch: int = 128
    rate: float = 1.5e-3
    decay: float = 1e-4
    average: float = 0.998

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a checkpoint or a report."""
        return asdict(self)


def quick(recipe: Recipe) -> Recipe:
    """Return a tiny version for tests: seconds, not a useful policy."""
    return replace(
        recipe, image=32, width=8, hidden=32, text=16, scenes=12, states=4, steps=8, batch=8
    )
