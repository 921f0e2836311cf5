"""Paths out of references: what is noted about them, besides where they lead."""

import numpy as np
import pytest
from safety_world import make_robot, step

from vla_safety.core.limiter import GRIPPER_NOTICE, NOTICE, Limiter
from vla_safety.core.limits import limits_of
from vla_safety.core.planner import Planner
from vla_safety.core.reference import through

STEP = 50_000_000


def follow(rows, q=(0.0, 0.0), v=(0.0, 0.0), scale=1.0, **robot):
    made = make_robot(**{"joints": 2, **robot})
    planner = Planner(limits_of(made), made.safety)
    curve = through(np.array(rows, dtype=float), 0, STEP)
    path, factor = planner.follow(np.array(q), np.array(v), 0, curve, scale)
    return planner, path, factor


def line(speed, rows=9):
    return np.arange(rows)[:, None] * 0.05 * np.array(speed)


def test_who_was_held_back():
    planner, _, factor = follow(line([5.0, 0.0]))
    assert planner.held.tolist() == [True, False]
    assert factor < 1.0
    planner, _, factor = follow(line([0.0, -5.0]))
    assert planner.held.tolist() == [False, True]
    assert factor < 1.0


def test_who_was_not():
    planner, path, factor = follow(line([0.2, -0.1]), v=(0.2, -0.1))
    assert planner.held.tolist() == [False, False]
    assert factor == 1.0
    expected = np.arange(planner.ahead + 1)[:, None] * 0.01 * np.array([0.2, -0.1])
    assert path.q[: planner.ahead + 1] == pytest.approx(expected, abs=1e-9)


def test_the_flags_are_those_of_the_last_path_only():
    made = make_robot(2)
    planner = Planner(limits_of(made), made.safety)
    for rows, held in ((line([5.0, 0.0]), True), (np.zeros((9, 2)), False), (line([-9, 0]), True)):
        planner.follow(np.zeros(2), np.zeros(2), 0, through(rows, 0, STEP), 1.0)
        assert planner.held.tolist() == [held, False]


def test_a_slow_scale_is_kept():
    planner, path, _ = follow(line([0.5, 0.0]), v=(0.05, 0.0), scale=0.1)
    assert np.abs(path.v).max() <= 0.1 * planner.limits.v_max[0] + 1e-12


@pytest.mark.parametrize(("joint", "v_max"), [(0, 4.0), (1, 0.25)])
@pytest.mark.parametrize(("beyond", "held"), [(0.9, False), (1.1, True)])
@pytest.mark.parametrize("grippers", [(), (1,)])
def test_held_is_a_share_of_the_limit_of_the_joint(joint, v_max, beyond, held, grippers):
    robot = make_robot(2, v_max=[4.0, 0.25], a_max=10.0, grippers=grippers)
    limiter = Limiter(limits_of(robot).for_grid(0.01, 1.0), 0.01, 0.03)
    share = GRIPPER_NOTICE if joint in grippers else NOTICE
    wanted = [0.0, 0.0]
    wanted[joint] = 0.1 + beyond * share * v_max  # a step from rest reaches 0.1
    rest = [0.0, 0.0]
    step(limiter, rest, rest, rest, rest, wanted, 1.0)
    assert limiter.held.tolist() == [held and joint == 0, held and joint == 1]


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_the_wanted_change_is_scaled_to_what_a_step_can_reach(side):
    limits = limits_of(make_robot(2, a_max=[6.0, 3.0])).for_grid(0.01, 0.2)
    limiter = Limiter(limits, 0.01, 0.03)
    rest = [0.0, 0.0]
    _, v, factor = step(limiter, rest, rest, rest, rest, [side * 0.03, side * 0.06], 1.0)
    assert v == pytest.approx([side * 0.015, side * 0.03])
    assert factor == pytest.approx(0.5)
    fast = [side * 0.2, side * 0.2]
    _, v, factor = step(limiter, rest, fast, rest, fast, [side * 0.17, side * 0.14], 1.0)
    assert v == pytest.approx([side * 0.185, side * 0.17])
    assert factor == pytest.approx(0.5)
