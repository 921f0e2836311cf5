"""Flow matching with guidance by the chunk that is being executed.

The network estimates the clean chunk x1 from a noised one, x = (1 - tau) noise + tau x1, and the
velocity follows as (x1 - x) / (1 - tau). Sampling is five Euler steps from tau = 0.

Guidance is real-time chunking's (Black, Galliker, Levine 2025, with the Jacobian taken as the
identity): the velocity gets min(beta, (1/tau_bar) r(tau)) times W (prev - x1) added, so that the
new chunk continues the one in execution where W is 1 and is free where W is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch

STEPS: Final = 5
BETA: Final = 5.0
"""Greatest guidance weight."""


def guidance_weight(tau: float) -> float:
    """Return min(beta, (1-tau)/tau * ((1-tau)^2 + tau^2) / (1-tau)^2); beta at tau = 0."""
    if tau <= 0.0:
        return BETA
    left = 1.0 - tau
    return min(BETA, (left / tau) * (left**2 + tau**2) / left**2)


def sample(
    clean: Callable[[torch.Tensor, float], torch.Tensor],
    noise: torch.Tensor,
    previous: torch.Tensor,
    weights: torch.Tensor,
) -> torch.Tensor:
    """Return the chunk (B, H, J), normalised, that ``noise`` (B, H, J) flows to.

    clean: estimate of the clean chunk from (x, tau). previous: (B, H, J) normalised chunk in
    execution; weights: (B, H) in 0..1, 0 = no guidance.
    """
    x = noise
    for step in range(STEPS):
        tau = step / STEPS
        estimate = clean(x, tau)
        velocity = (estimate - x) / (1.0 - tau)
        pull = guidance_weight(tau) * weights.unsqueeze(-1) * (previous - estimate)
        x = x + (velocity + pull) / STEPS
    return x


def noised(target: torch.Tensor, noise: torch.Tensor, tau: torch.Tensor) -> torch.Tensor:
    """Return the training input (B, ...) at flow times ``tau`` (B,) between noise and target."""
    tau = tau.view(-1, *[1] * (target.dim() - 1))
    return (1.0 - tau) * noise + tau * target
