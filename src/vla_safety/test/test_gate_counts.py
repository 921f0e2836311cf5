"""What the gate says about itself, and how fast it lets the arm go: found missing by mutants."""

import numpy as np
from safety_world import World, make_robot

from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import State


def drive(world, speed, plans=20, **changes):
    """Send plans that move all joints at a speed; return the largest speed of the last path."""
    for _ in range(plans):
        q = world.gate.motion.command(world.now)[0]
        world.chunk(q + 0.05 * speed * np.arange(1, 9)[:, None], **changes)
        world.tick(20), world.tick(20), world.tick(10)
    return float(np.abs(world.gate.motion.path.v).max())


def test_slow_is_slow_and_full_speed_comes_back():
    world = World(make_robot(1, low_confidence=0.5, slow_scale=0.25)).enabled()
    top = world.gate.motion.planner.limits.v_max[0]
    assert drive(world, 0.9 * top) > 0.5 * top
    found = drive(world, 0.9 * top, confidence=0.1)
    assert world.gate.state is State.SLOW
    assert world.gate.machine.cause == "low_confidence"
    assert 0.2 * top < found <= 0.25 * top + 1e-9
    assert drive(world, 0.9 * top) > 0.5 * top
    assert world.gate.state is State.ACTIVE


def test_who_was_clamped_and_how_often_plans_were_held_back():
    world = World(make_robot(2)).enabled()
    gate = world.gate
    assert gate.following.clamps == {"j0": 0, "j1": 0}
    world.chunk(np.zeros((8, 2)))
    assert (gate.following.plans, gate.following.clamps["j0"]) == (1, 0)
    for number in (1, 2, 3):
        world.tick(20)
        rows = np.zeros((8, 2))
        rows[1:, 1] = 2.0 + 0.2 * number  # outside
        world.chunk(rows)
        assert gate.following.clamps == {"j0": 0, "j1": number}
    assert gate.following.plans == 4
    assert gate.counts.total[Reason.CLAMPED] == gate.counts.total[Reason.HELD_BACK] == 3
    assert gate.counts.last_ns[Reason.CLAMPED] == world.now
    assert gate.counts.last_ns[Reason.HELD_BACK] == world.now


def test_during_the_soft_start_nobody_is_counted_as_held_back():
    world = World(make_robot(1, soft_start_ms=1000.0)).enabled()
    drive(world, 1.0, plans=10)
    assert world.gate.following.plans == 0
    drive(world, 1.0, plans=12)
    assert world.gate.following.plans > 0


def test_refusals_are_dated():
    world = World(make_robot(2)).enabled()
    world.chunk(np.zeros((8, 2)), horizon=3)
    assert world.gate.counts.last_ns[Reason.SHAPE] == world.now
    assert world.gate.refusals(world.now) == 1
    for _ in range(2):
        world.chunk(np.zeros((8, 2)), horizon=3)
    assert world.gate.counts.total[Reason.SHAPE] == 3  # not once more for the latch
    world.gate.on_joint_state(None, None, None, world.now)
    assert world.gate.counts.last_ns[Reason.JOINT_BAD] == world.now


def test_a_cause_of_a_hold_is_counted_once_by_what_refused_it():
    world = World(make_robot(2)).enabled()
    for _ in range(2):
        world.chunk(np.zeros((8, 2)), positions=[float("nan")] * 16)
    assert world.gate.state is State.HOLD
    assert world.gate.counts.total[Reason.NON_FINITE] == 2


def test_a_stop_carries_the_last_plan():
    world = World(make_robot(2)).enabled()
    drive(world, 0.5, plans=4, epoch=7)
    world.take(world.gate.on_estop("button", True, world.now))
    assert world.actions[-1].epoch == 7


def test_deactivated_is_said_and_ends_auto_enable():
    world = World(make_robot(2, auto_enable=True))
    world.run(100)
    assert world.gate.state is State.ACTIVE
    world.take(world.gate.deactivate(world.now))
    assert world.gate.machine.cause == "deactivated"
    assert world.gate.machine.since_ns == world.now
    world.run(400)
    assert world.gate.state is State.INACTIVE


def test_auto_enable_waits_for_activation():
    robot = make_robot(2, auto_enable=True)
    world = World(robot)
    gate = type(world.gate)(robot)
    world.gate = gate
    world.run(200)
    assert gate.state is State.INACTIVE
    gate.activate(world.now)
    world.run(40)
    assert gate.state is State.ACTIVE


def test_answers_of_the_services():
    world = World(make_robot(2))
    world.tick()
    assert world.gate.enable(world.now) == (True, "enabled")
    world.gate.on_estop("a", True, world.now)
    world.gate.on_estop("b", True, world.now)
    ok, message = world.gate.reset(world.now)
    assert not ok
    assert message.startswith("refused: e-stop pressed: a; e-stop pressed: b; ")


def test_an_exception_is_kept_counted_and_dated(monkeypatch):
    world = World(make_robot(2)).enabled()
    monkeypatch.setattr(world.gate.joints, "update", lambda *a: 1 / 0)
    world.take(world.gate.on_joint_state(["j0"], [0.0], [0.0], world.now))
    assert isinstance(world.gate.last_error, ZeroDivisionError)
    assert world.gate.counts.total[Reason.INTERNAL] == 1
    assert world.gate.counts.last_ns[Reason.INTERNAL] == world.now
    assert world.gate.machine.cause == "internal_error"
    assert world.gate.machine.since_ns == world.now
