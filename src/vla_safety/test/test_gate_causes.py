"""Causes that go on: while latched, and while something else holds."""

from __future__ import annotations

import numpy as np
from safety_world import World, make_robot

from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import State


def bad(world):
    return world.chunk(np.zeros((8, 2)), horizon=3)


def test_plans_as_bad_as_those_that_latched_keep_reset_from_passing():
    """One at a time, with good ones in between: that would not latch anew."""
    world = World(make_robot(2)).enabled()
    for _ in range(3):
        bad(world)
    world.run(500)
    assert world.gate.state is State.LATCHED
    for _ in range(25):
        bad(world)
        world.tick(50)
        world.chunk(np.zeros((8, 2)))
        world.tick(50)
        ok, message = world.gate.reset(world.now)
        assert not ok
        assert Reason.SHAPE.value in message
    world.run(1100)
    assert world.gate.reset(world.now)[0]


def test_a_latch_is_not_enabled_by_itself_after_reset():
    world = World(make_robot(2, auto_enable=True))
    world.run(100)
    assert world.gate.state is State.ACTIVE
    world.gate.stop(world.now)
    world.run(2000)
    assert world.gate.reset(world.now)[0]
    world.run(500)
    assert world.gate.state is State.READY


def test_every_trip_by_an_emergency_stop_is_counted():
    world = World(make_robot(2)).enabled()
    for number in (1, 2, 3):
        world.gate.press(world.now)
        assert world.gate.estop.trips == number
        world.run(2000)
        assert world.gate.reset(world.now)[0]
        assert world.gate.enable(world.now)[0]


def test_the_report_says_what_keeps_from_enabling_and_which_epoch_counts():
    world = World(make_robot(2))
    world.tick()
    assert world.gate.report(world.now).enable_blocked_by == ()
    world.joints_talk = False
    world.run(200)
    report = world.gate.report(world.now)
    assert "joint states missing or stale" in report.enable_blocked_by
    assert report.min_epoch == world.gate.checks.min_epoch
