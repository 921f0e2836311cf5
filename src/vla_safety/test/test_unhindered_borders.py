"""The borders at which rows are no longer made at once: one step, worked out by hand."""

import numpy as np
import pytest
from safety_world import make_robot

from vla_safety.core.limits import limits_of
from vla_safety.core.unhindered import Unhindered

DT, GAIN, BRAKE = 0.01, 20.0, 6.0
SOFT = {"has_soft_limits": True, "soft_lower_limit": -1.0, "soft_upper_limit": 1.0,
        "k_position": 2.0}  # fmt: skip


def one_step(q, v, new, **robot):
    """Return the rows of one step to the velocity ``new``, None where a limit may act."""
    limits = limits_of(make_robot(1, **robot)).for_grid(DT, 1.0)
    made = Unhindered(limits, DT, 1, GAIN, 1.0, np.array([4.8]))
    ref_q, ref_v = np.full((2, 1), q), np.full((2, 1), new)
    return made.rows(np.array([q]), np.array([v]), ref_q, ref_v, 1.0)


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize(
    ("v", "new"), [(0.3, 0.3), (0.3, 0.35), (0.35, 0.3), (-0.02, 0.03), (1.0, 1.0), (0.1, 0.05)]
)
def test_the_stop_must_fit_before_the_position_limit(side, v, new):
    step = 0.5 * (v + new) * DT
    stop = new * new / (2.0 * BRAKE) + BRAKE * DT * DT / 8.0  # in whole steps, at most
    border = 2.0 - step - stop
    assert one_step(side * (border - 1e-9), side * v, side * new) is not None
    assert one_step(side * (border + 1e-9), side * v, side * new) is None


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_away_from_a_limit_and_at_rest_on_it_nothing_acts(side):
    assert one_step(side * 2.0, 0.0, side * -0.05) is not None
    assert one_step(side * 2.0, 0.0, 0.0) is not None
    assert one_step(side * 2.0, 0.0, side * 0.01) is None


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_soft_limits(side):
    q = 0.9
    border = 2.0 * (1.0 - q)
    assert one_step(side * q, side * 0.2, side * (border - 1e-9), extra=SOFT) is not None
    assert one_step(side * q, side * 0.2, side * (border + 1e-9), extra=SOFT) is None
    assert one_step(side * 1.1, 0.0, side * 0.001, extra=SOFT) is None
    assert one_step(side * 1.1, 0.0, 0.0, extra=SOFT) is not None
    assert one_step(side * 1.1, 0.0, side * -0.05, extra=SOFT) is not None


def test_a_step_is_what_the_reference_asks_for():
    rows_q, rows_v = one_step(0.5, 0.1, 0.14)
    assert rows_q.ravel() == pytest.approx([0.5, 0.5 + 0.12 * DT])
    assert rows_v.ravel() == pytest.approx([0.1, 0.14])
