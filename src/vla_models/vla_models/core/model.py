"""The policy: a vision encoder and a language-conditioned flow-matching head.

``Vision`` turns one image into tokens on a grid and knows nothing of the instruction, so its
output can be kept while the scene stands still. ``Policy`` lets the instruction ask the tokens
(spatial attention: where is it, what is there), joins the answers with the joint positions, and
denoises a chunk of joint targets. Normalisation is inside: joints in and chunks out are in
radians and metres.

Shapes: B observations, T instructions per observation, C cameras, N tokens of width D, L words,
J joints, H rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from vla_models.core import flow
from vla_models.core.recipe import Recipe

STRIDE: Final = 4
"""Pixels per token along each image axis."""
VALUE: Final = 24
"""Width of what attention reads at the place it looks at."""


class Residual(nn.Module):
    """Two 3x3 convolutions around a skip connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, D, h, w) to the same shape."""
        return x + self.second(functional.relu(self.first(functional.relu(x))))


class Vision(nn.Module):
    """Image uint8 (B, H, W, 3) and camera index (B,) to tokens (B, N, D)."""

    def __init__(self, width: int, cameras: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 8, stride=STRIDE, padding=2)
        self.camera = nn.Embedding(cameras, width)
        self.block = Residual(width)
        self.norm = nn.LayerNorm(width)

    def forward(self, image: Tensor, camera: Tensor) -> Tensor:
        """Return one token for each STRIDE x STRIDE pixels, row by row."""
        x = (image.permute(0, 3, 1, 2).to(torch.float32) - 127.5) / 64.0
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
        x = self.block(x + self.camera(camera)[:, :, None, None])
        tokens: Tensor = self.norm(x.flatten(2).transpose(1, 2))
        return tokens


class Words(nn.Module):
    """Token ids (..., L) to one vector (..., text): each word votes, padding does not."""

    def __init__(self, vocabulary: int, text: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, text, padding_idx=0)
        self.score = nn.Linear(text, 1)
        self.mix = nn.Sequential(nn.Linear(text, text), nn.ReLU(), nn.Linear(text, text))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the instruction's vector; an empty instruction gives a constant."""
        words = self.embed(tokens)
        scores = self.score(words).squeeze(-1) - 1e4 * (tokens == 0).to(words.dtype)
        mean = (scores.softmax(dim=-1).unsqueeze(-1) * words).sum(dim=-2)
        mixed: Tensor = self.mix(mean)
        return mixed


@dataclass(frozen=True)
class Context:
    """What the head is conditioned on, and the training-only estimates made on the way."""

    state: Tensor  # (M, hidden)
    top: Tensor  # (M, 3) estimated top-face centre of the named cube [m]
    offset: Tensor  # (M, 3) estimated way from the tool centre point to it [m]


class Policy(nn.Module):
    """Tokens, instruction and joints to a chunk of joint targets."""

    def __init__(self, recipe: Recipe, vocabulary: int, cameras: int, joints: int) -> None:
        super().__init__()
        side = recipe.image // STRIDE
        self.horizon, self.joints, self.queries = recipe.horizon, joints, recipe.queries
        width, hidden = recipe.width, recipe.hidden
        self.words = Words(vocabulary, recipe.text)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, VALUE)
        self.query = nn.Linear(recipe.text, cameras * recipe.queries * width)
        seen = cameras * recipe.queries * (VALUE + 3)
        self.body = nn.Sequential(
            nn.Linear(2 * joints, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU()
        )
        self.join = nn.Sequential(
            nn.Linear(seen + hidden + recipe.text, 2 * hidden), nn.SiLU(),
            nn.Linear(2 * hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(),
        )  # fmt: skip
        self.estimate = nn.Linear(hidden, 6)
        self.condition = nn.Linear(hidden + 6 + 2 * joints, hidden)
        self.noise = nn.Linear(recipe.horizon * joints + 2, hidden)
        self.head = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(3))
        self.out = nn.Linear(hidden, recipe.horizon * joints)
        nn.init.zeros_(self.out.weight)
        axis = torch.linspace(-1.0, 1.0, side)
        rows, columns = torch.meshgrid(axis, axis, indexing="ij")
        self.register_buffer("grid", torch.stack([columns.flatten(), rows.flatten()], dim=-1))
        self.register_buffer("joint_mean", torch.zeros(joints))
        self.register_buffer("joint_scale", torch.ones(joints))
        self.register_buffer("chunk_mean", torch.zeros(recipe.horizon, joints))
        self.register_buffer("chunk_scale", torch.ones(recipe.horizon, joints))

    grid: Tensor
    joint_mean: Tensor
    joint_scale: Tensor
    chunk_mean: Tensor
    chunk_scale: Tensor

    def normalise(self, chunk: Tensor, joints: Tensor) -> Tensor:
        """Return a chunk (..., H, J) as scaled differences from ``joints`` (..., J)."""
        return (chunk - joints.unsqueeze(-2) - self.chunk_mean) / self.chunk_scale

    def restore(self, chunk: Tensor, joints: Tensor) -> Tensor:
        """Undo ``normalise``."""
        return chunk * self.chunk_scale + self.chunk_mean + joints.unsqueeze(-2)

    def look(self, features: Tensor, text: Tensor) -> Tensor:
        """Ask the tokens (B, C, N, D) with the instruction vectors (B, T, text).

        Returns (B, T, seen): for each camera and query the expected place, what is there, and how
        clearly it stands out.
        """
        batch, cameras, _, width = features.shape
        query = self.query(text).view(batch, -1, cameras, self.queries, width)
        keys, values = self.key(features), self.value(features)
        logits = torch.einsum("bcnd,btcqd->btcqn", keys, query) * width**-0.5
        weights = logits.softmax(dim=-1)
        place = torch.cat([values, self.grid.expand(batch, cameras, -1, -1)], dim=-1)
        read = torch.einsum("btcqn,bcnd->btcqd", weights, place)
        sharp = weights.max(dim=-1, keepdim=True).values
        return torch.cat([read, sharp], dim=-1).flatten(2)

    def context(self, features: Tensor, tokens: Tensor, joints: Tensor) -> Context:
        """Return the head's condition for (B, C, N, D), (B, T, L), (B, J); M = B T rows."""
        text = self.words(tokens)
        seen = self.look(features, text)
        scaled = (joints - self.joint_mean) / self.joint_scale
        posture = torch.cat([torch.sin(scaled), scaled], dim=-1)
        posture = posture.unsqueeze(1).expand(-1, tokens.shape[1], -1)
        state = self.join(torch.cat([seen, self.body(posture), text], dim=-1))
        guess = self.estimate(state)
        joined = self.condition(torch.cat([state, guess, posture], dim=-1)).flatten(0, 1)
        guess = guess.flatten(0, 1)
        return Context(state=joined, top=guess[:, :3], offset=guess[:, 3:])

    def clean(self, context: Context, x: Tensor, tau: Tensor) -> Tensor:
        """Estimate the clean chunk (M, H, J), normalised, from ``x`` at flow times tau (M,)."""
        time = torch.stack([tau, 1.0 - tau], dim=-1)
        state = context.state + self.noise(torch.cat([x.flatten(1), time], dim=-1))
        for layer in self.head:
            state = state + functional.silu(layer(functional.silu(state)))
        return self.out(state).view(-1, self.horizon, self.joints)

    def forward(
        self,
        features: Tensor,
        tokens: Tensor,
        joints: Tensor,
        noise: Tensor,
        prev_chunk: Tensor,
        prev_weights: Tensor,
    ) -> Tensor:
        """Return the chunk (1, H, J) [rad], [m]; inputs as the bundle's policy.onnx names them."""
        context = self.context(features, tokens.unsqueeze(1), joints)
        previous = self.normalise(prev_chunk, joints)

        def clean(x: Tensor, tau: float) -> Tensor:
            return self.clean(context, x, torch.full_like(x[:, 0, 0], tau))

        return self.restore(flow.sample(clean, noise, previous, prev_weights), joints)


class Net(nn.Module):
    """Both halves, as they are trained together."""

    def __init__(self, recipe: Recipe, vocabulary: int, cameras: int, joints: int) -> None:
        super().__init__()
        self.vision = Vision(recipe.width, cameras)
        self.policy = Policy(recipe, vocabulary, cameras, joints)

    def features(self, images: Tensor) -> Tensor:
        """Return the tokens (B, C, N, D) of images uint8 (B, C, H, W, 3)."""
        batch, cameras = images.shape[:2]
        index = torch.arange(cameras).repeat(batch)
        tokens = self.vision(images.flatten(0, 1), index)
        return tokens.view(batch, cameras, *tokens.shape[1:])
