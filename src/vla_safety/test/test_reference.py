"""The curve through a plan's rows."""

import numpy as np
import pytest

from vla_safety.core.reference import through

STEP = 50_000_000


def test_it_passes_through_every_row_at_its_time():
    knots = np.random.default_rng(1).normal(size=(6, 3))
    curve = through(knots, 1000, STEP)
    q, _ = curve.sample(1000, STEP, 6)
    assert q == pytest.approx(knots, abs=1e-12)


def test_velocity_is_the_derivative():
    curve = through(np.random.default_rng(2).normal(size=(6, 2)), 0, STEP)
    for at in range(10_000_000, 5 * STEP, 7_000_000):
        (before, after), _ = curve.sample(at - 1000, 2000, 2)
        _, v = curve.sample(at, 1, 1)
        assert v[0] == pytest.approx((after - before) / 2e-6, rel=1e-3, abs=1e-2)


def test_it_stands_still_outside():
    curve = through(np.array([[0.0], [1.0], [3.0]]), 0, STEP)
    q, v = curve.sample(-STEP, 10 * STEP, 2)
    assert q.ravel().tolist() == [0.0, 3.0]
    assert v.ravel().tolist() == [0.0, 0.0]


def test_constant_speed_stays_constant():
    curve = through(np.arange(5.0)[:, None] * 0.05, 0, STEP)
    _, v = curve.sample(0, 10_000_000, 20)
    assert v == pytest.approx(np.ones((20, 1)))


def test_it_never_overshoots():
    knots = np.random.default_rng(3).normal(size=(8, 4)) ** 3
    curve = through(knots, 0, STEP)
    for i in range(7):
        q, _ = curve.sample(i * STEP, STEP // 20, 20)
        low, high = np.minimum(knots[i], knots[i + 1]), np.maximum(knots[i], knots[i + 1])
        assert (q >= low - 1e-12).all()
        assert (q <= high + 1e-12).all()


def test_the_position_at_a_time_is_the_sample_of_that_time():
    curve = through(np.random.default_rng(4).normal(size=(6, 3)), 7, STEP)
    for at in range(-STEP, 7 * STEP, 3_333_333):
        assert curve.position(at) == pytest.approx(curve.sample(at, 1, 1)[0][0], abs=1e-12)
