"""Paths of few rows, so that each row, each half and each memory of a distance decides alone.

A level forearm over the table: ``level(h)`` is h metres above it.
"""

from __future__ import annotations

import numpy as np
import pytest
from space_world import clearance_of, make_arm

from vla_safety.core import clearance
from vla_safety.core.reasons import Reason


@pytest.fixture
def found():
    return clearance_of(make_arm(workspace=None))


def level(height):
    pitch = np.arcsin((0.4 - 0.04 - height) / 0.4)
    return [0.0, pitch, -pitch]


def blocked(found, *rows):
    return found.check(np.array(rows)).blocked is not None


# --- every row counts ---------------------------------------------------------------------------
def test_of_two_rows_the_second_counts(found):
    assert blocked(found, level(0.10), level(0.019))
    assert blocked(found, level(0.30), level(0.019))
    assert not blocked(found, level(0.30), level(0.021))


def test_one_row_is_where_the_arm_is(found):
    assert not blocked(found, level(0.001))


@pytest.mark.parametrize("rows", [3, 4, 5, 9, 16, 17])
def test_a_single_row_that_dips_is_found_wherever_it_is(rows):
    for bad in range(1, rows):
        path = [level(0.06)] * rows
        path[bad] = level(0.019)
        assert blocked(clearance_of(make_arm(workspace=None)), *path), bad


@pytest.mark.parametrize("rows", [3, 9, 16])
def test_a_distance_that_is_no_number_blocks_in_whichever_row(found, rows, monkeypatch):
    path = [level(0.03 + 0.03 * (k % 2)) for k in range(rows)]
    at = found._probe.at
    for bad in range(rows):
        there = [level(0.045)] * rows
        there[bad] = path[bad]
        marked = found.arm.configurations(np.array(path))[bad]

        def odd(configuration, pairs=None, marked=marked):
            real = at(configuration, pairs)
            return [float("nan")] * len(real) if (configuration == marked).all() else real

        monkeypatch.setattr(found._probe, "at", odd)
        assert blocked(found, *there), bad
        monkeypatch.setattr(found._probe, "at", at)
        assert not blocked(found, *there), bad


DIP = np.abs(np.linspace(-1.0, 1.0, 9))
PARTS = {
    "whole": DIP,
    "first half": np.concatenate((DIP, np.ones(8))),
    "second half": np.concatenate((np.ones(8), DIP)),
    "last quarter": np.concatenate((np.ones(24), DIP)),
}


@pytest.mark.parametrize("part", sorted(PARTS))
def test_the_bound_between_rows_is_as_wide_as_it_must_be(part):
    """A forearm that tips just below stop_distance and comes back, at almost its full reach."""
    robot = make_arm(workspace=None, kinematics={"stop_distance": 0.05, "slow_distance": 0.1})
    pitch = np.arcsin((0.4 - 0.14) / 0.4)
    for deepest, wanted in ((0.16, False), (0.17, True)):  # 5.2 and 4.9 cm from the table
        found = clearance_of(robot)
        tip = np.arcsin(deepest * (1.0 - PARTS[part]))
        assert blocked(found, *[[0.0, pitch, a - pitch] for a in tip]) == wanted
        assert found.searched <= 7 + 2, "rows were looked at where nothing moves"


# --- what was seen before ------------------------------------------------------------------------
def test_a_distance_is_remembered_with_the_posture_it_was_seen_in(found):
    """The next path begins where the first step of this one leads to."""
    assert not blocked(found, level(0.30), level(0.06))
    assert blocked(found, level(0.06), level(0.019))


def test_what_a_path_leads_out_of_is_near_again_for_the_next(found):
    assert not blocked(found, level(0.03), level(0.30))
    assert blocked(found, level(0.03), level(0.019))


def test_the_other_side_is_another_place():
    """The same angles with the other sign: the case is on the left only."""
    found = clearance_of()
    assert not blocked(found, [-0.70, 0.0, 0.0], [-0.69, 0.0, 0.0])
    assert found.check(np.array([[0.70, 0.0, 0.0], [0.76, 0.0, 0.0]])).blocked is Reason.WORKSPACE


def test_far_from_everything_one_look_is_enough(found, monkeypatch):
    looked = []
    at = found._probe.at
    monkeypatch.setattr(found._probe, "at", lambda *args: looked.append(args) or at(*args))
    assert not blocked(found, *[level(h) for h in np.linspace(0.30, 0.29, 33)])
    assert len(looked) <= 1


# --- what it costs, and what it says -------------------------------------------------------------
def test_rows_that_the_bound_settles_are_not_looked_at(found):
    assert not blocked(found, *[level(h) for h in np.linspace(0.065, 0.06, 65)])
    assert found.searched == 0


def test_rows_looked_at_are_counted(found):
    assert blocked(found, level(0.06), level(0.019), level(0.06))
    assert found.searched == 1
    assert blocked(found, level(0.06), level(0.06), level(0.06), level(0.019), level(0.06))
    assert 3 <= found.searched <= 4


def test_a_refusal_is_remembered_until_the_next(found):
    assert found.refused is None
    assert not blocked(found, level(0.06), level(0.059))
    assert found.refused is None
    refused = found.check(np.array([level(0.06), level(0.015)]))
    assert found.refused is refused
    assert not blocked(found, level(0.06), level(0.059))
    assert found.refused is refused
    assert found.pairs[refused.pair].name == "fore:table"
    assert refused.distance == pytest.approx(0.015, abs=1e-6)
    assert refused.ease == pytest.approx(0.1)


def test_of_several_the_one_furthest_below_its_limit_is_named():
    below = 0.05 + 0.001  # the TCP's last height is 1 mm below the plane
    zone = {"kind": "plane", "frames": ["tcp"], "normal": [0.0, 0.0, 1.0], "offset": below}
    found = clearance_of(make_arm(workspace={"names": ["floor"], "floor": zone}))
    refused = found.check(np.array([level(0.06), level(0.01)]))
    assert refused.blocked is Reason.COLLISION
    assert found.pairs[refused.pair].name == "fore:table"
    refused = found.check(np.array([level(0.06), level(0.0109)]))
    assert refused.blocked is Reason.COLLISION


def test_a_path_that_is_only_slowed_names_no_pair(found):
    eased = found.check(np.array([level(0.06), level(0.03)]))
    assert eased.ease < 1.0
    assert (eased.blocked, eased.pair) == (None, -1)
    assert np.isnan(eased.distance)


def test_what_a_check_took_is_noted_in_milliseconds():
    times = iter([5_000_000, 7_500_000])
    found = clearance.load(make_arm(), (), lambda: next(times))
    found.check(np.array([level(0.3), level(0.3)]))
    assert found.check_ms.values().tolist() == pytest.approx([2.5])


def test_without_anything_to_check_every_path_is_free():
    found = clearance_of(
        make_arm(workspace=None, collision=None, kinematics={"self_collision": False})
    )
    assert not found.pairs
    assert not blocked(found, level(0.3), level(0.001))
