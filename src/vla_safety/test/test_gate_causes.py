"""Causes that go on: while latched, and while something else holds."""

from __future__ import annotations

import numpy as np
import pytest
from safety_world import World, make_robot
from space_world import HOME, clearance_of, make_arm

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


def test_the_third_malformed_plan_latches_by_name():
    world = World(make_robot(2)).enabled()
    for _ in range(3):
        bad(world)
    assert world.gate.machine.cause == Reason.SHAPE.value
    assert world.gate.last_error is None


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


def test_plans_of_low_confidence_and_what_follows_are_dated():
    world = World(make_robot(2, low_confidence=0.5)).enabled()
    for confidence, state in ((0.1, State.SLOW), (1.0, State.ACTIVE)):
        for _ in range(20):
            world.tick(20)
            world.chunk(np.zeros((8, 2)), confidence=confidence)
            if confidence < 0.5:
                assert world.gate.counts.last_ns[Reason.LOW_CONFIDENCE] == world.now
            if world.gate.state is state:
                break
        assert world.gate.machine.state is state
        assert world.gate.machine.since_ns == world.now


def test_a_clock_jump_is_dated():
    world = World(make_robot(2)).enabled()
    world.now += 10_000_000
    world.gate.tick(world.now, world.now + 10**18)
    assert world.gate.machine.cause == Reason.CLOCK_JUMP.value
    assert world.gate.counts.last_ns[Reason.CLOCK_JUMP] == world.now
    assert world.gate.counts.total[Reason.CLOCK_JUMP] == 1


def test_an_exception_in_the_tick_while_the_arm_moves_is_kept_and_dated(monkeypatch):
    world = World(make_robot(2)).enabled()
    for _ in range(6):
        q = world.gate.motion.command(world.now)[0]
        world.chunk(q + np.outer(np.arange(1, 9), [0.05, 0.0]))
        world.tick(20), world.tick(20), world.tick(10)
    monkeypatch.setattr(world.gate.cameras, "faults", lambda now_ns: 1 / 0)
    world.now += 5_000_000
    world.gate.tick(world.now)
    assert world.gate.state is State.STOPPING
    assert world.gate.machine.since_ns == world.now
    assert isinstance(world.gate.last_error, ZeroDivisionError)


def test_a_joint_that_is_held_back_inside_its_range_is_counted_too():
    world = World(make_robot(2)).enabled()
    for _ in range(10):
        q = world.gate.motion.command(world.now)[0]
        rows = q + np.outer(np.arange(1, 9), [0.1, 0.0])  # 2 rad/s, where 1.5 are allowed
        world.chunk(rows)
        world.tick(20)
    assert world.gate.following.clamps["j0"] > 0
    assert world.gate.following.clamps["j1"] == 0
    assert world.gate.counts.total[Reason.CLAMPED] == 0
    assert world.gate.counts.total[Reason.HELD_BACK] > 0


# --- near the table ------------------------------------------------------------------------------
INTO = [0.0, 0.9, 0.3]


@pytest.fixture
def arm():
    robot = make_arm(workspace=None)
    return World(robot, np.array(HOME), clearance_of(robot)).enabled()


def send(world, goal):
    q = world.gate.motion.command(world.now)[0]
    way = np.array(goal) - q
    step = 0.06 * way / max(np.abs(way).max(), 0.06)
    world.chunk(q + step * np.arange(1, 9)[:, None])


def drive_in(world):
    for _ in range(200):
        send(world, INTO)
        world.tick(20), world.tick(20), world.tick(10)
        if world.gate.state is State.HOLD:
            break
    assert world.gate.state is State.HOLD


def test_a_plan_that_is_only_tried_does_not_move_the_arm(arm):
    """It leads out, and the hold lasts: until that is over the arm stands."""
    drive_in(arm)
    for _ in range(10):
        send(arm, INTO)
        arm.tick(20), arm.tick(20), arm.tick(10)
    assert Reason.COLLISION in arm.gate.causes.holding
    stands, _ = arm.gate.motion.command(arm.now)
    send(arm, HOME)
    assert arm.gate.state is State.HOLD
    assert arm.gate.motion.path.q[-1] == pytest.approx(stands, abs=1e-12)
    arm.tick(20), arm.tick(20)
    assert arm.gate.state is State.HOLD
    assert arm.gate.motion.command(arm.now)[0] == pytest.approx(stands, abs=1e-12)


def test_while_something_else_holds_plans_are_not_tried(arm):
    drive_in(arm)
    for _ in range(20):
        send(arm, HOME)
        arm.tick(20), arm.tick(20), arm.tick(10)
        if arm.gate.state is State.ACTIVE:
            break
    assert arm.gate.state is State.ACTIVE
    collisions = arm.gate.counts.total[Reason.COLLISION]
    arm.cameras_talk = False
    for _ in range(10):
        arm.tick(20)
        arm.camera_health(dark=[20])
        arm.chunk(np.tile(INTO, (8, 1)))
    assert arm.gate.state is State.HOLD
    assert arm.gate.counts.total[Reason.COLLISION] == collisions
