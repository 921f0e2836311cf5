"""Weights of real-time chunking: how strongly a new chunk is bound to the plan that runs.

Source: Black, Galliker, Levine, "Real-Time Execution of Action Chunking Flow Policies", 2025;
the guidance itself is inside the policy graph.
"""

from __future__ import annotations

import math

import numpy as np


def prefix_weights(horizon: int, delay: int, end: int) -> np.ndarray:
    """Return weights (horizon,) float32: 1 for rows < ``delay``, falling to 0 at ``end``.

    Between ``delay`` and ``end`` the weight is w expm1(w) / (e - 1) with w falling linearly.
    Raises ValueError unless 0 <= delay and 1 <= horizon.
    """
    if horizon < 1 or delay < 0:
        raise ValueError(f"horizon {horizon} must be >= 1 and delay {delay} >= 0")
    delay = min(delay, horizon)
    end = min(max(end, delay), horizon)
    rows = np.arange(horizon)
    w = np.clip((end - rows) / (end - delay + 1), 0.0, 1.0)
    w = w * np.expm1(w) / (math.e - 1.0)
    w[rows < delay] = 1.0
    w[rows >= end] = 0.0
    return w.astype(np.float32)
