"""Pins: the guidance formula, and that guidance pulls a new chunk onto the one in execution."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vla_models.core import flow

SHAPE = (1, 16, 8)


@given(tau=st.floats(0.0, 0.99))
def test_guidance_weight_is_bounded(tau):
    assert 0.0 < flow.guidance_weight(tau) <= flow.BETA


def test_guidance_weight_is_the_published_formula():
    assert flow.guidance_weight(0.0) == flow.BETA
    assert flow.guidance_weight(0.5) == pytest.approx(2.0)
    assert flow.guidance_weight(0.4) == pytest.approx((0.6 / 0.4) * (0.36 + 0.16) / 0.36)


def test_without_weights_the_clean_estimate_comes_out():
    goal = torch.randn(SHAPE)
    made = flow.sample(
        lambda x, tau: goal, torch.randn(SHAPE), torch.randn(SHAPE), torch.zeros(1, 16)
    )
    assert torch.allclose(made, goal, atol=1e-5)


def test_weights_pull_their_rows_to_the_previous_chunk():
    goal, previous = torch.zeros(SHAPE), torch.ones(SHAPE)
    weights = (torch.arange(16) < 6).float()[None]
    made = flow.sample(lambda x, tau: goal, torch.randn(SHAPE), previous, weights)
    assert torch.all((made[:, :6] - 1.0).abs() < 0.2)
    assert torch.allclose(made[:, 6:], goal[:, 6:], atol=1e-5)


def test_noised_runs_from_noise_to_target():
    target, noise = torch.randn(4, 16, 8), torch.randn(4, 16, 8)
    tau = torch.tensor([0.0, 1.0, 0.5, 0.25])
    x = flow.noised(target, noise, tau)
    assert torch.equal(x[0], noise[0])
    assert torch.equal(x[1], target[1])
    assert torch.allclose(x[2], (target[2] + noise[2]) / 2)
