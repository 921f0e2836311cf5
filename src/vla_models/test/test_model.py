"""Pins: shapes, what must not matter (padding, neighbours in the batch), what must (language)."""

from __future__ import annotations

import pytest
import torch

from vla_models.core import sentences, tokens
from vla_models.core.model import STRIDE
from vla_models.core.recipe import Recipe, quick
from vla_models.core.train import build

RECIPE = quick(Recipe())
TOKENS = (RECIPE.image // STRIDE) ** 2


@pytest.fixture(scope="module")
def net():
    made, _ = build(RECIPE)
    torch.nn.init.normal_(made.policy.out.weight, std=0.1)  # starts at zero
    return made.eval()


def images(batch: int) -> torch.Tensor:
    shape = (batch, 2, RECIPE.image, RECIPE.image, 3)
    return torch.randint(
        0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def ids(text: str) -> torch.Tensor:
    tokenizer = tokens.build(sentences.words(), RECIPE.max_tokens)
    return torch.from_numpy(tokens.encode(tokenizer, [text]))


def inputs(net, text: str) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    rows = (1, RECIPE.horizon, 8)
    return [
        net.features(images(1)),
        ids(text),
        torch.randn(1, 8, generator=generator),
        torch.randn(rows, generator=generator),
        torch.randn(rows, generator=generator),
        torch.zeros(1, RECIPE.horizon),
    ]


def test_shapes(net):
    features = net.features(images(3))
    assert features.shape == (3, 2, TOKENS, RECIPE.width)
    assert net.policy(*inputs(net, "reach the red cube")).shape == (1, RECIPE.horizon, 8)


def test_an_image_does_not_depend_on_its_neighbours_but_on_its_camera(net):
    batch = images(2).flatten(0, 1)
    together = net.vision(batch, torch.tensor([0, 1, 0, 1]))
    alone = net.vision(batch[2:3], torch.tensor([0]))
    assert torch.allclose(together[2:3], alone, atol=1e-5)
    torch.nn.init.normal_(net.vision.camera.weight)
    one, other = net.vision(batch[:1], torch.tensor([0])), net.vision(batch[:1], torch.tensor([1]))
    assert not torch.allclose(one, other, atol=1e-3)


def test_padding_carries_no_meaning(net):
    vector = net.policy.words(ids("reach the red cube"))
    cut = net.policy.words(ids("reach the red cube")[:, :4])
    assert torch.allclose(vector, cut, atol=1e-6)
    assert torch.isfinite(net.policy.words(ids(""))).all()


def test_the_instruction_changes_the_chunk(net):
    red, blue = (net.policy(*inputs(net, f"reach the {c} cube")) for c in ("red", "blue"))
    assert not torch.allclose(red, blue, atol=1e-5)


def test_normalisation_is_undone(net):
    chunk, joints = torch.randn(2, RECIPE.horizon, 8), torch.randn(2, 8)
    policy = net.policy
    assert torch.allclose(policy.restore(policy.normalise(chunk, joints), joints), chunk, atol=1e-5)


def test_guidance_pulls_the_prefix_to_the_previous_chunk(net):
    values = inputs(net, "reach the red cube")
    free = net.policy(*values)
    values[-1] = (torch.arange(RECIPE.horizon) < 6).float()[None]
    guided, previous = net.policy(*values), values[-2]
    near = (guided - previous)[:, :6].abs().mean()
    assert near < 0.3 * (free - previous)[:, :6].abs().mean()


def test_several_instructions_at_once_give_what_each_gives_alone(net):
    features, joints = net.features(images(2)), torch.randn(2, 8)
    pair = torch.stack([ids("reach the red cube")[0], ids("go to the blue block")[0]])
    together = net.policy.context(features, pair.expand(2, -1, -1), joints)
    alone = net.policy.context(features[1:], pair[None, 1:], joints[1:])
    assert torch.allclose(together.state[3], alone.state[0], atol=1e-5)
