"""Gate and publisher together: whatever is lost or late between them, the arm is never jerked."""

from __future__ import annotations

import numpy as np
import pytest
from arm_loop import Link, Loop
from hypothesis import given, settings
from hypothesis import strategies as st

SLACK = 1.03


def started(seed=0, **link):
    """Return a loop whose gate is enabled."""
    loop = Loop(Link(np.random.default_rng(seed)))
    loop.run(1300)
    assert loop.gate.state.name == "ACTIVE", loop.gate.enable_blocked_by(loop.now)
    for name, value in link.items():
        setattr(loop.link, name, value)
    return loop


def assert_never_jerked(loop, slack=SLACK):
    """Check every millisecond of what the controller commanded against the limits."""
    v_max, a_max = loop.arm.bound("max_velocity"), loop.arm.bound("max_acceleration")
    q, v = np.array(loop.desired), np.array(loop.velocity)
    moved = np.abs(np.diff(q, axis=0)) / 1e-3 / v_max
    assert moved.max() <= slack, f"{moved.max():.2f} of the velocity limit"
    assert (np.abs(v) / v_max).max() <= slack
    used = np.abs(np.diff(v, axis=0)) / 1e-3 / a_max
    assert used.max() <= slack, f"{used.max():.2f} of the acceleration limit at {used.argmax()}"


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    loss=st.sampled_from([0.0, 0.05, 0.3]),
    late_ms=st.sampled_from([0.5, 8.0, 25.0, 45.0]),
    speed=st.floats(0.2, 1.4),
)
def test_lost_and_late_paths_never_jerk_the_arm_and_it_comes_back(seed, loss, late_ms, speed):
    loop = started(seed, loss=loss, late_ms=late_ms)
    rng, loop.speed = np.random.default_rng(seed), speed
    for _ in range(5):
        loop.target = loop.home + np.append(rng.uniform(-0.4, 0.4, 7), 0.0)
        loop.run(400)
    loop.link.loss, loop.link.late_ms = 0.0, 0.5
    loop.run(2500)
    assert_never_jerked(loop)
    assert loop.gate.state.name == "ACTIVE"
    np.testing.assert_allclose(loop.desired[-1], loop.target, atol=0.02)
