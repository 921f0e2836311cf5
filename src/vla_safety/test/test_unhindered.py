"""Rows computed at once: either those of the limiter, or none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safety_world import make_robot

from vla_safety.core.limiter import RESERVE, Limiter
from vla_safety.core.limits import limits_of
from vla_safety.core.unhindered import Unhindered
from vla_safety.prove import random_limits

STEPS = 8


def _pair(limits, dt: float) -> tuple[Limiter, Unhindered]:
    limiter = Limiter(limits, dt, 0.05)
    approach = RESERVE * np.minimum(limits.a_max, limits.d_max)
    return limiter, Unhindered(limits, dt, STEPS, limiter.gain, limiter.damping, approach)


def _stepped(limiter: Limiter, q, v, ref_q, ref_v, scale):
    limiter.held = [False] * len(q)
    rows_q, rows_v = [list(q)], [list(v)]
    for i in range(STEPS):
        q_next, v_next, factor = limiter.step(
            rows_q[-1], rows_v[-1], ref_q[i].tolist(), *ref_v[i : i + 2].tolist(), scale
        )
        assert factor == pytest.approx(1.0, abs=1e-9)
        rows_q.append(q_next)
        rows_v.append(v_next)
    assert not any(limiter.held)
    return np.array(rows_q), np.array(rows_v)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.005, 0.01, 0.02, 0.05, 0.1]))
def test_rows_are_those_of_the_limiter_whenever_there_are_any(seed, dt):
    rng = np.random.default_rng(seed)
    limits = random_limits(rng).for_grid(dt, 0.2)
    limiter, unhindered = _pair(limits, dt)
    middle, span = 0.5 * (limits.q_min + limits.q_max), limits.q_max - limits.q_min
    size = 10.0 ** rng.uniform(-4, 0)
    q = middle + rng.uniform(-0.5, 0.5) * span
    start_v = size * limits.v_max * rng.uniform(-1, 1, limits.joints)
    ref_v = np.cumsum(rng.normal(0.0, 0.3 * size, (STEPS + 1, limits.joints)), axis=0)
    ref_v = start_v + ref_v * np.minimum(limits.a_max, limits.d_max) * dt
    ref_q = q + np.cumsum(ref_v, axis=0) * dt + rng.normal(0, 1e-3 * size, ref_v.shape)
    v = start_v * rng.choice([0.0, 1.0])
    scale = float(rng.choice([1.0, 0.3]))
    rows = unhindered.rows(q, v, ref_q, ref_v, scale)
    if rows is None:
        return
    stepped = _stepped(limiter, q, v, ref_q, ref_v, scale)
    rounding = 1e-14 * (1.0 + np.abs(q).max())  # a joint that turns for ever is far from zero
    np.testing.assert_allclose(rows[0], stepped[0], rtol=0, atol=rounding)
    np.testing.assert_allclose(rows[1], stepped[1], rtol=0, atol=10.0 * rounding / dt)


def _still(limits, q):
    ref = np.broadcast_to(np.array(q, dtype=float), (STEPS + 1, limits.joints))
    return np.array(q, dtype=float), np.zeros(limits.joints), ref, np.zeros_like(ref)


@pytest.fixture
def three():
    limits = limits_of(make_robot(3)).for_grid(0.01, 0.12)
    return limits, _pair(limits, 0.01)[1]


def test_an_arm_that_follows_slowly_or_rests_on_its_limit_needs_no_limiter(three):
    limits, unhindered = three
    q, v, ref_q, ref_v = _still(limits, [0.1, 2.0, -2.0])
    rows_q, rows_v = unhindered.rows(q, v, ref_q, ref_v, 1.0)
    np.testing.assert_array_equal(rows_q, np.broadcast_to(q, rows_q.shape))
    assert not rows_v.any()


@pytest.mark.parametrize("case", ["error", "speed", "scale", "acceleration", "position", "nan"])
def test_none_when_a_limit_acts(three, case):
    limits, unhindered = three
    q, v, ref_q, ref_v = _still(limits, [0.0, 0.0, 0.0])
    ref_q, ref_v, scale = ref_q.copy(), ref_v.copy(), 1.0
    if case == "error":
        ref_q += 0.5
    elif case in ("speed", "scale"):
        speed = 1.6 if case == "speed" else 0.5
        v, scale = np.full(3, speed), (1.0 if case == "speed" else 0.3)
        ref_v[:] = speed
        ref_q = q + np.arange(STEPS + 1)[:, None] * 0.01 * ref_v
    elif case == "acceleration":
        ref_v[1:] = 0.07
        ref_q[1:] = 0.0007 * np.arange(1, STEPS + 1)[:, None]
    elif case == "position":
        q = np.array([1.97, 0.0, 0.0])
        v = np.array([0.5, 0.0, 0.0])
        ref_v = np.broadcast_to(v, ref_v.shape)
        ref_q = q + np.arange(STEPS + 1)[:, None] * 0.01 * ref_v
    else:
        ref_q[3, 1] = np.nan
    assert unhindered.rows(q, v, ref_q, ref_v, scale) is None


def test_soft_limits_slow_an_approach_before_the_hard_ones():
    soft = {
        "has_soft_limits": True,
        "soft_lower_limit": -1.5,
        "soft_upper_limit": 1.5,
        "k_position": 5.0,
    }
    limits = limits_of(make_robot(2, extra=soft)).for_grid(0.01, 0.12)
    unhindered = _pair(limits, 0.01)[1]
    for at, passes in ((0.0, True), (1.45, False)):
        q, v = np.array([at, 0.0]), np.array([0.5, 0.0])
        ref_v = np.broadcast_to(v, (STEPS + 1, 2))
        ref_q = q + np.arange(STEPS + 1)[:, None] * 0.01 * ref_v
        assert (unhindered.rows(q, v, ref_q, ref_v, 1.0) is not None) is passes
