"""Training batches: every draw depends on (seed, step) alone, so a resumed run repeats it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vla_models.core import sentences, tokens
from vla_models.core.demonstrations import Shapes
from vla_models.core.recipe import Recipe
from vla_sim.core.task import COLOURS

HELD_BACK: Final = 0.02
"""Part of the scenes kept for validation."""
FORGET: Final = 0.1
"""Chance that a word other than a colour is replaced by the unknown word."""
EXTRA: Final = 0.25
"""Chance that up to three unknown words follow a sentence."""

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """One step's observations; T = the cubes' colours, then one "hold" sentence.

    images (B, C, S, S, 3) float32 0..255, tokens (B, T, L), joints (B, J), chunks (B, T, H, J),
    tops (B, T-1, 3) [m].
    """

    images: Tensor
    tokens: Tensor
    joints: Tensor
    chunks: Tensor
    tops: Tensor


class Texts:
    """Encoded sentences of a split, by colour, and of the sentences that name no cube."""

    def __init__(self, tokenizer: Any, split: str) -> None:
        pairs = sentences.every(split)
        encoded = tokens.encode(tokenizer, [text for text, _ in pairs])
        named = np.array([COLOURS.index(colour) for _, colour in pairs])
        self._pools = [encoded[named == i] for i in range(len(COLOURS))]
        self._pools.append(tokens.encode(tokenizer, sentences.HOLD))
        self._colours = [tokenizer.token_to_id(colour) for colour in COLOURS]

    def draw(self, rng: np.random.Generator, count: int) -> Ids:
        """Return (count, T, L) token ids: one sentence a colour, then one that names none."""
        picked = [pool[rng.integers(0, len(pool), count)] for pool in self._pools]
        return np.stack(picked, axis=1)

    def blur(self, rng: np.random.Generator, ids: Ids) -> Ids:
        """Forget some words and add unknown ones; colours stay. ids: (..., L)."""
        keep = np.isin(ids, self._colours) | (ids == tokens.PAD_ID)
        ids = np.where((rng.random(ids.shape) < FORGET) & ~keep, tokens.UNKNOWN_ID, ids)
        length = (ids != tokens.PAD_ID).sum(axis=-1, keepdims=True)
        extra = rng.integers(1, 4, length.shape) * (rng.random(length.shape) < EXTRA)
        position = np.arange(ids.shape[-1])
        added = (position >= length) & (position < length + extra)
        return np.where(added, tokens.UNKNOWN_ID, ids)


def jitter(rng: np.random.Generator, images: npt.NDArray[np.uint8]) -> Tensor:
    """Return images (B, C, S, S, 3) as float32 with random brightness, tint and sensor noise."""
    shape = (*images.shape[:2], 1, 1)
    gain = rng.uniform(0.85, 1.15, (*shape, 1)) * rng.uniform(0.95, 1.05, (*shape, 3))
    out = torch.from_numpy(images).to(torch.float32) * torch.from_numpy(gain.astype(np.float32))
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    noise = torch.randn(images.shape[1:], generator=generator)
    return (out + 2.0 * noise).clamp_(0.0, 255.0)


class Demonstrations:
    """Mapped demonstrations, split by scene into training and validation states."""

    def __init__(self, folder: Path, recipe: Recipe, tokenizer: Any) -> None:
        self.recipe = recipe
        count = recipe.scenes * recipe.states
        self.arrays = Shapes(count, recipe.image, recipe.horizon).open(folder, "r")
        self.training = count - max(1, int(HELD_BACK * recipe.scenes)) * recipe.states
        self.count = count
        self.texts = {split: Texts(tokenizer, split) for split in sentences.SPLITS}

    def statistics(self) -> dict[str, Tensor]:
        """Return means and scales of training states: joint_* (J,), chunk_* (H, J)."""
        joints = np.asarray(self.arrays["joints"][: self.training], dtype=np.float64)
        chunks = np.asarray(self.arrays["chunks"][: self.training], dtype=np.float64)
        moves = (chunks - joints[:, None, None]).reshape(-1, *chunks.shape[2:])
        values = {
            "joint_mean": joints.mean(axis=0),
            "joint_scale": np.maximum(joints.std(axis=0), 1e-3),
            "chunk_mean": moves.mean(axis=0),
            "chunk_scale": np.maximum(moves.std(axis=0), 1e-3),
        }
        return {name: torch.from_numpy(v.astype(np.float32)) for name, v in values.items()}

    def batch(self, step: int) -> Batch:
        """Return the training batch of ``step``."""
        rng = np.random.default_rng([self.recipe.seed, step, 1])
        rows = np.sort(rng.integers(0, self.training, self.recipe.batch))
        texts = self.texts["train"]
        ids = texts.blur(rng, texts.draw(rng, len(rows)))
        return self._batch(rows, ids, jitter(rng, self.arrays["images"][rows]))

    def validation(self, count: int, split: str) -> Batch:
        """Return ``count`` states of scenes not trained on, with sentences of ``split``."""
        rng = np.random.default_rng([self.recipe.seed, 2])
        rows = np.sort(rng.integers(self.training, self.count, count))
        ids = self.texts[split].draw(rng, count)
        return self._batch(rows, ids, torch.from_numpy(self.arrays["images"][rows]).float())

    def _batch(self, rows: Ids, ids: Ids, images: Tensor) -> Batch:
        joints = torch.from_numpy(self.arrays["joints"][rows])
        chunks = torch.from_numpy(self.arrays["chunks"][rows])
        stay = joints[:, None, None].expand(-1, 1, *chunks.shape[2:])
        return Batch(
            images=images,
            tokens=torch.from_numpy(ids),
            joints=joints,
            chunks=torch.cat([chunks, stay], dim=1),
            tops=torch.from_numpy(self.arrays["tops"][rows]),
        )
