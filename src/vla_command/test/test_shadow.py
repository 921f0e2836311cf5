"""How the commands of a dry run compare with what the arm does."""

import math

import numpy as np
import pytest
from command_world import JOINTS, MS, V_MAX, parameters, robot

from vla_command.core.checks import Bounds
from vla_command.core.shadow import KEPT, ShadowBook
from vla_common.core.robot import from_parameters

ZERO = np.zeros(3)


def filled(rows, shown=JOINTS, book=None):
    """Return what the book says of rows of (command, its velocity, measured), 50 ms apart."""
    book = book or ShadowBook(robot(dry_run=True))
    order = [JOINTS.index(name) for name in shown]
    for i, (q, v, measured) in enumerate(rows):
        book.add(np.array(q), np.array(v), list(shown), np.array(measured)[order], i * 50 * MS)
    return book.likeness()


def test_nothing_is_said_of_nothing():
    assert ShadowBook(robot()).likeness() is None
    assert filled([(ZERO, ZERO, ZERO)]) is None  # one measurement has no speed


def test_differences_by_joint():
    found = filled([([0.1, 0.0, -0.2], ZERO, ZERO), ([0.3, 0.0, -0.2], ZERO, ZERO)] * 2)
    # the first one only says where the arm was
    np.testing.assert_allclose(found.rms, [math.sqrt((0.3**2 * 2 + 0.1**2) / 3), 0.0, 0.2])
    np.testing.assert_allclose(found.largest, [0.3, 0.0, 0.2])
    assert found.compared == 3 and math.isnan(found.direction)


@pytest.mark.parametrize("sign, direction", [(1.0, 1.0), (-1.0, -1.0), (0.0, None)])
def test_the_direction_is_that_of_the_velocities(sign, direction):
    speed = np.array([0.5, -0.25, 0.1]) * V_MAX
    rows = [(ZERO, sign * speed, 0.05 * i * speed) for i in range(20)]
    found = filled(rows).direction
    assert math.isnan(found) if direction is None else found == pytest.approx(direction)


def test_at_right_angles_it_is_zero():
    rows = [(ZERO, [0.0, 1.0, 0.0], [0.05 * i, 0.0, 0.0]) for i in range(20)]
    assert filled(rows).direction == pytest.approx(0.0)


def test_joints_may_come_in_any_order():
    rows = [([1.0, 2.0, 3.0], ZERO, [0.9, 1.8, 2.7])] * 2
    np.testing.assert_allclose(filled(rows, JOINTS[::-1]).rms, [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("names", "positions"),
    [(["j1"], [0.0]), (JOINTS, [0.0, math.nan, 0.0]), (JOINTS, [0.0, 0.0]), ([], [])],
)
def test_what_is_not_whole_is_passed_over(names, positions):
    book = ShadowBook(robot())
    for i in range(5):
        book.add(ZERO, ZERO, list(names), positions, i * 50 * MS)
    assert book.likeness() is None


def test_twenty_times_a_second_for_a_minute():
    book = ShadowBook(robot())
    for i in range(100 * 90):
        book.add(ZERO, ZERO, list(JOINTS), ZERO, i * 10 * MS)
    assert book.likeness().compared == KEPT


def test_a_turn_more_is_the_same_place_for_a_joint_that_turns_endlessly():
    values = parameters(dry_run=True)
    values["joint_limits"]["j1"].update(has_position_limits=False, angle_wraparound=True)
    book = ShadowBook(from_parameters(values, "test"))
    found = filled([([3.2, 0.0, 0.0], ZERO, [3.1 - 2 * math.pi, 0.0, 0.0])] * 2, book=book)
    np.testing.assert_allclose(found.rms, [0.1, 0.0, 0.0], atol=1e-9)


def test_in_a_dry_run_the_command_may_begin_anew_anywhere():
    assert not np.isfinite(Bounds.of(robot(dry_run=True)).astray).any()
    assert np.isfinite(Bounds.of(robot()).astray).all()
