"""The training loop's state: step, checkpoint, resume, measure; no clock and no screen."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vla_common.core.errors import ConfigError
from vla_models.core import flow, sentences, tokens
from vla_models.core.batches import Batch, Demonstrations
from vla_models.core.model import Net
from vla_models.core.recipe import Recipe
from vla_sim.core.arm import JOINTS, tcp_position
from vla_sim.core.scene import VISION_CAMERAS

WARM_UP: Final = 150
"""Steps over which the learning rate rises."""
PLACE_SCALE: Final = 0.05
"""Unit of the place losses [m]."""
PLACE_WEIGHT: Final = 0.3
CLIP: Final = 1.0
"""Greatest gradient norm."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Chunk loss (normalised) and mean error of the estimated cube place [cm]."""

    chunk: float
    place_cm: float


@dataclass(frozen=True, slots=True)
class Validation:
    """On scenes not trained on: place error [cm] and end-of-chunk joint error [rad], by split."""

    place_cm: dict[str, float]
    joint: dict[str, float]


def build(recipe: Recipe) -> tuple[Net, Any]:
    """Return a fresh network and its tokenizer; both depend on the recipe alone."""
    torch.manual_seed(recipe.seed)
    tokenizer = tokens.build(sentences.words(), recipe.max_tokens)
    net = Net(recipe, tokenizer.get_vocab_size(), len(VISION_CAMERAS), len(JOINTS))
    return net.to(memory_format=torch.channels_last), tokenizer


class Trainer:
    """Weights, their moving average and the optimiser, one step at a time."""

    def __init__(self, recipe: Recipe, demonstrations: Path) -> None:
        self.recipe = recipe
        self.net, self.tokenizer = build(recipe)
        self.average, _ = build(recipe)
        self.data = Demonstrations(demonstrations, recipe, self.tokenizer)
        statistics = self.data.statistics()
        for net in (self.net, self.average):
            for name, value in statistics.items():
                getattr(net.policy, name).copy_(value)
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=recipe.rate, weight_decay=recipe.decay, betas=(0.9, 0.98)
        )
        self.step = 0

    def rate(self) -> float:
        """Return the learning rate of the current step: linear rise, then cosine to zero."""
        done = self.step / max(1, self.recipe.steps)
        rise = min(1.0, (self.step + 1) / WARM_UP)
        return self.recipe.rate * rise * 0.5 * (1.0 + float(np.cos(np.pi * min(1.0, done))))

    def advance(self) -> Losses:
        """Take one optimiser step."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        chunk, place, error = _losses(self.net, self.data.batch(self.step), self._noise())
        self.optimiser.zero_grad(set_to_none=True)
        (chunk + PLACE_WEIGHT * place).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), CLIP)
        self.optimiser.step()
        self.step += 1
        self._follow()
        return Losses(chunk=float(chunk.detach()), place_cm=100.0 * error)

    def validate(self, count: int) -> Validation:
        """Measure the averaged weights on ``count`` states of scenes not trained on."""
        places, joints = {}, {}
        for split in sentences.SPLITS:
            places[split], joints[split] = _measure(
                self.average, self.data.validation(count, split)
            )
        return Validation(place_cm=places, joint=joints)

    def save(self, path: Path) -> None:
        """Write the checkpoint; a crash leaves the previous one whole."""
        state = {
            "recipe": self.recipe.as_dict(),
            "step": self.step,
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint; only the number of steps may have changed.

        Raises ConfigError when it is of another recipe.
        """
        state = torch.load(path, weights_only=True)
        for key, value in self.recipe.as_dict().items():
            found = state["recipe"].get(key)
            if found != value and key != "steps":
                raise ConfigError(str(path), key, value, f"{found} as trained so far, or --fresh")
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = int(state["step"])

    def _noise(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + self.step)

    @torch.no_grad()
    def _follow(self) -> None:
        keep = min(self.recipe.average, self.step / (self.step + 10.0))
        for mean, now in zip(self.average.parameters(), self.net.parameters(), strict=True):
            mean.lerp_(now, 1.0 - keep)


def _losses(net: Net, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor, float]:
    """Return chunk loss, place loss and mean place error [m] of a batch."""
    policy = net.policy
    context = policy.context(net.features(batch.images), batch.tokens, batch.joints)
    instructions = batch.tokens.shape[1]
    joints = batch.joints.repeat_interleave(instructions, dim=0)
    target = policy.normalise(batch.chunks.flatten(0, 1), joints)
    noise = torch.randn(target.shape, generator=generator)
    tau = 0.95 * torch.rand(len(target), generator=generator) ** 2  # most where little is known
    estimate = policy.clean(context, flow.noised(target, noise, tau), tau)
    chunk = functional.smooth_l1_loss(estimate, target, beta=0.1)
    tip = torch.from_numpy(tcp_position(batch.joints.double().numpy())).float()
    cubes = instructions - 1  # the last instruction names no cube
    top = context.top.view(-1, instructions, 3)[:, :cubes] - batch.tops
    way = batch.tops - tip.unsqueeze(1)
    offset = context.offset.view(-1, instructions, 3)[:, :cubes] - way
    place = sum(
        functional.smooth_l1_loss(e / PLACE_SCALE, torch.zeros_like(e), beta=0.1)
        for e in (top, offset)
    )
    assert isinstance(place, Tensor)
    return chunk, place, float(top.detach().norm(dim=-1).mean())


@torch.no_grad()
def _measure(net: Net, batch: Batch) -> tuple[float, float]:
    """Return the mean place error [cm] and last-row joint error [rad] over the named cubes."""
    features = net.features(batch.images)
    policy, instructions = net.policy, batch.tokens.shape[1]
    context = policy.context(features, batch.tokens, batch.joints)
    joints = batch.joints.repeat_interleave(instructions, dim=0)
    noise = torch.randn(
        (len(joints), policy.horizon, policy.joints), generator=torch.Generator().manual_seed(0)
    )

    def clean(x: Tensor, tau: float) -> Tensor:
        return policy.clean(context, x, torch.full((len(x),), tau))

    free = torch.zeros(noise.shape[:2])
    made = policy.restore(flow.sample(clean, noise, torch.zeros_like(noise), free), joints)
    error = (made - batch.chunks.flatten(0, 1)).view(-1, instructions, *made.shape[1:])
    top = context.top.view(-1, instructions, 3)[:, :-1] - batch.tops
    return (
        100.0 * float(top.norm(dim=-1).mean()),
        float(error[:, :-1, -1, :7].abs().mean()),
    )
