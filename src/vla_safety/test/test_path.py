"""Paths on the grid: rows, states between them, and what is left of them."""

import numpy as np
import pytest
from safety_world import make_robot

from vla_safety.core.limits import limits_of
from vla_safety.core.path import Path, rest, stop_rows

STEP = 10_000_000
Q = np.array([[0.0, 0.0], [0.1, -0.1], [0.3, -0.3], [0.4, -0.4]])
V = np.array([[10.0, -10.0], [10.0, -10.0], [30.0, -30.0], [0.0, 0.0]])


@pytest.fixture
def path():
    return Path(100, STEP, Q, V, 3)


def test_rows_are_exact(path):
    for i in range(4):
        q, v = path.row(100 + i * STEP)
        assert q.tolist() == Q[i].tolist()
        assert v.tolist() == V[i].tolist()
    assert path.row(100 - 5 * STEP)[0].tolist() == Q[0].tolist()
    assert path.row(100 + 99 * STEP)[0].tolist() == Q[3].tolist()
    assert not path.row(100 + 99 * STEP)[1].any()


def test_a_path_that_did_not_end_at_rest_would_rest_all_the_same():
    path = Path(0, STEP, Q[:3], V[:3], 1)
    assert not path.row(2 * STEP)[1].any()
    assert not path.at(2 * STEP)[1].any()


def test_what_is_left_begins_at_the_grid_time(path):
    for i in range(4):
        left = path.after(100 + i * STEP)
        assert (left.start_ns, left.step_ns) == (100 + i * STEP, STEP)
        assert left.q.tolist() == Q[i:].tolist()
        assert left.v.tolist() == V[i:].tolist()
        assert left.tail_start == max(0, 3 - i)
        assert left.end_ns == path.end_ns
    assert path.after(100 - 7 * STEP).start_ns == 100
    assert len(path.after(100 - 7 * STEP).q) == 4


def test_after_its_end_the_last_row_is_left(path):
    left = path.after(100 + 9 * STEP)
    assert left.start_ns == 100 + 9 * STEP
    assert left.q.tolist() == [Q[3].tolist()]
    assert left.tail_start == 0
    beyond = Path(0, STEP, Q, V, 1).after(3 * STEP)
    assert beyond.tail_start == 0


@pytest.mark.parametrize("measured", [False, True])
def test_what_is_left_still_says_whether_it_was_measured(measured):
    assert Path(0, STEP, Q, V, 1, measured).after(2 * STEP).measured is measured
    assert rest(Q[0], 0, STEP, measured).measured is measured


def test_standing_is_one_row():
    path = rest(np.array([1.0, 2.0]), 7, STEP)
    assert path.q.tolist() == [[1.0, 2.0]]
    assert not path.v.any()
    assert (path.tail_start, path.end_ns) == (0, 7)


# --- stops -----------------------------------------------------------------------------------
DT = 0.01


def limits(**changes):
    return limits_of(make_robot(2, **changes)).for_grid(DT, 0.2)


def test_the_slowest_joint_says_how_long_a_stop_takes():
    q, v = stop_rows(np.zeros(2), np.array([0.6, 0.3]), limits(a_max=[6.0, 6.0]), DT)
    assert len(q) == 10
    assert v[:, 0] == pytest.approx(np.arange(9, -1, -1) * 0.06)
    assert v[:, 1] == pytest.approx(np.arange(9, -1, -1) * 0.03)
    assert q[-1] == pytest.approx([0.6 * 0.1 / 2, 0.3 * 0.1 / 2])


def test_with_room_to_spare_the_stop_is_straight_up_to_the_limit():
    short = 0.3 * 0.1 / 2  # what joint 1 needs when it stops together with joint 0
    at = np.array([0.0, 2.0 - short])
    q, v = stop_rows(at, np.array([0.6, 0.3]), limits(), DT)
    assert v[:, 1] == pytest.approx(0.5 * v[:, 0])
    assert q[-1, 1] == pytest.approx(2.0)
    at = np.array([0.0, -2.0 + short])
    q, v = stop_rows(at, np.array([0.6, -0.3]), limits(), DT)
    assert v[:, 1] == pytest.approx(-0.5 * v[:, 0])


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_without_that_room_it_brakes_as_hard_as_it_may(side):
    hard = 0.3 * 0.05 / 2
    at = np.array([0.0, side * (2.0 - hard - 1e-9)])
    q, v = stop_rows(at, np.array([0.6, side * 0.3]), limits(), DT)
    assert v[:5, 1] == pytest.approx(side * (0.3 - np.arange(1, 6) * 0.06), abs=1e-12)
    assert not v[4:, 1].any()
    assert q[-1, 1] == pytest.approx(side * 2.0, abs=1e-8)
    assert v[:, 0] == pytest.approx(np.arange(9, -1, -1) * 0.06)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_joint_that_moves_away_from_its_limit_or_stands_on_it_is_no_reason(side):
    q, v = stop_rows(np.array([0.0, side * 2.0]), np.array([0.6, -side * 0.3]), limits(), DT)
    assert v[:, 1] == pytest.approx(-side * 0.5 * v[:, 0])
    q, v = stop_rows(np.array([0.0, side * 2.0]), np.array([0.6, 0.0]), limits(), DT)
    assert not v[:, 1].any()
    assert (q[:, 1] == side * 2.0).all()


def test_a_speed_of_rounding_errors_ends_at_zero_and_rest_needs_nothing():
    q, v = stop_rows(np.zeros(2), np.array([1e-12, 0.0]), limits(), DT)
    assert v.tolist() == [[0.0, 0.0]]
    q, v = stop_rows(np.zeros(2), np.zeros(2), limits(), DT)
    assert q.shape == v.shape == (0, 2)


def test_between_two_rows_acceleration_is_constant():
    path = Path(0, STEP, np.array([[1.0], [1.02], [1.03]]), np.array([[1.0], [3.0], [0.0]]), 1)
    q, v = path.at(STEP // 4)
    assert q[0] == pytest.approx(1.0 + (1.0 + 0.5 * 200.0 * 0.0025) * 0.0025)
    assert v[0] == pytest.approx(1.5)
    q, v = path.at(STEP + STEP // 2)
    assert v[0] == pytest.approx(1.5)
    assert q[0] == pytest.approx(1.02 + (3.0 - 0.5 * 300.0 * 0.005) * 0.005)
    assert path.at(2 * STEP - 1)[1][0] > 0.0
