"""Pins: what counts as named, as reached and as stayed."""

from __future__ import annotations

import numpy as np
import pytest

from vla_sim.core.task import DWELL, REACH_RADIUS, ReachTask, target_in

CUBES = {
    "red": np.array([0.4, 0.0, 0.04]),
    "green": np.array([0.5, 0.2, 0.04]),
    "blue": np.array([0.6, -0.2, 0.04]),
}
FAR = np.array([0.3, 0.0, 0.4])


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("reach the red cube", "red"),
        ("BLUE, please!", "blue"),
        ("the cube that is green", "green"),
        ("", None),
        ("reach the yellow cube", None),
        ("red or blue", None),
        ("he reddened", None),
    ],
)
def test_target_in(text, colour):
    assert target_in(text) == colour


def run(task, tcp, target, start, stop, step=0.05):
    for now in np.arange(start, stop + 1e-9, step):
        status = task.update(float(now), tcp, CUBES, target)
    return status


def test_success_needs_the_whole_dwell():
    task = ReachTask()
    assert not run(task, CUBES["red"], "red", 0.0, DWELL - 0.1).success
    status = run(task, CUBES["red"], "red", DWELL, DWELL + 0.05)
    assert status.success
    assert status.reached == ("red",)
    assert status.successes == 1


def test_leaving_starts_the_dwell_again():
    task = ReachTask()
    run(task, CUBES["red"], "red", 0.0, 0.4)
    assert run(task, FAR, "red", 0.45, 0.45).dwell == 0.0
    assert not run(task, CUBES["red"], "red", 0.5, 0.9).success


def test_the_radius_is_the_border():
    outside = CUBES["red"] + np.array([0.0, 0.0, REACH_RADIUS + 1e-6])
    inside = CUBES["red"] + np.array([0.0, 0.0, REACH_RADIUS - 1e-6])
    assert not run(ReachTask(), outside, "red", 0.0, 1.0).success
    assert run(ReachTask(), inside, "red", 0.0, 1.0).success


def test_another_cube_is_reached_but_no_success():
    status = run(ReachTask(), CUBES["blue"], "red", 0.0, 1.0)
    assert status.reached == ("blue",)
    assert not status.success
    assert status.distances["blue"] == 0.0


def test_a_new_target_must_be_dwelt_at_anew():
    task = ReachTask()
    run(task, CUBES["red"], "red", 0.0, 1.0)
    assert not run(task, CUBES["red"], "blue", 1.05, 1.05).success
    status = run(task, CUBES["blue"], "blue", 1.1, 2.0)
    assert status.success
    assert status.successes == 2
    assert status.reached == ("red", "blue")


def test_no_target_is_never_a_success():
    status = run(ReachTask(), CUBES["red"], None, 0.0, 1.0)
    assert not status.success
    assert status.dwell == 0.0


def test_reset_forgets():
    task = ReachTask()
    run(task, CUBES["red"], "red", 0.0, 1.0)
    task.reset(5.0)
    status = task.update(5.5, FAR, CUBES, "red")
    assert (status.reached, status.successes, status.success) == ((), 0, False)
    assert status.elapsed == pytest.approx(0.5)
