"""All distances at once are those of each pair alone, and never left from an earlier look.

A gate that read results which do not follow would see the arm stand where it was at the start.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from space_world import HOME, clearance_of, make_arm

from vla_common.core.errors import ConfigError
from vla_safety.core.kinematics import Arm
from vla_safety.core.pairs import Pairs
from vla_safety.core.probe import Probe


@pytest.fixture(scope="module")
def arm():
    return clearance_of().arm


def postures(count, seed=0):
    return np.array(HOME) + np.random.default_rng(seed).normal(size=(count, 3))


def test_all_at_once_are_those_of_each_alone(arm):
    together, alone = Probe(arm), Probe(arm)
    every = range(len(arm.geometry.collisionPairs))
    for q in arm.configurations(postures(300)):
        wanted = alone.at(q, every)
        assert together.at(q) == pytest.approx(wanted, abs=2e-6)  # GJK stops there
        assert alone.at(q, [2, 0]) == pytest.approx([wanted[2], wanted[0]], abs=2e-6)


def test_two_probes_do_not_disturb_each_other(arm):
    first, second = Probe(arm), Probe(arm)
    here, there = arm.configurations(postures(2, 1))
    before = first.at(here)
    assert second.at(there) != pytest.approx(before, abs=1e-3)
    assert [result.min_distance for result in first._results] == before


def test_results_that_do_not_follow_are_refused():
    robot = make_arm()
    arm = Arm(robot, robot.urdf_path)
    Pairs(robot, arm)
    real = arm.pin.computeDistance

    def copied(*fields):
        return SimpleNamespace(min_distance=real(*fields).min_distance)

    arm.pin = SimpleNamespace(**{**vars(arm.pin), "computeDistance": copied})
    with pytest.raises(ConfigError, match="returns a reference") as caught:
        Probe(arm)
    error = caught.value
    assert (error.key, error.value) == ("kinematics.enabled", True)
    assert error.where == arm.where
