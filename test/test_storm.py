"""Gate and publisher in a storm, see :mod:`storm`; and that what is wrong there is found."""

import pytest
import storm
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_command.core.commander import Commander

SEEDS = (10035, *range(7))
"""Of storms in some of which each of the defects below shows."""


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9))
def test_whatever_fails_in_whatever_order_the_arm_is_never_jerked(seed):
    found = storm.trial(seed)
    assert not found.problems, f"seed {seed}: {found.problems}"


def broken(monkeypatch, defect):
    """Take one of the rules out of gate or publisher."""
    if defect == "a stop may set an arm in motion":
        monkeypatch.setattr(Commander, "_only_a_place", lambda *_: False)
    else:
        monkeypatch.setattr("vla_command.core.commander.check_jump", lambda *_: None)
        monkeypatch.setattr("vla_command.core.playback.first_reachable", lambda *_: 0)


DEFECTS = ("a stop may set an arm in motion", "a path may be stepped into")


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_found(monkeypatch, defect):
    broken(monkeypatch, defect)
    assert any(storm.trial(seed).problems for seed in SEEDS)


def test_arms_move_in_storms():
    moved = [storm.trial(seed).moved for seed in range(12)]
    assert sum(moved) > 6.0 and sum(x > 0.0 for x in moved) > 9


def test_a_trial_is_the_same_again():
    assert storm.trial(3) == storm.trial(3)
