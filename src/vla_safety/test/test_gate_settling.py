"""The end of a stop and of a hold: by name, to the tick, and without an error on the way."""

from __future__ import annotations

import numpy as np
from safety_world import World, make_robot

from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import State


def moving():
    world = World(make_robot(2)).enabled()
    for _ in range(6):
        q = world.gate.motion.command(world.now)[0]
        world.chunk(q + np.outer(np.arange(1, 9), [0.05, 0.0]))
        world.tick(20), world.tick(20), world.tick(10)
    assert world.gate.state is State.ACTIVE
    return world


def test_a_stop_ends_in_the_tick_that_finds_the_arm_at_rest():
    world = moving()
    world.take(world.gate.on_estop("button", True, world.now))
    assert world.gate.state is State.STOPPING
    for _ in range(100):
        assert not world.gate.motion.at_rest(world.now)
        world.tick(10)
        if world.gate.state is State.LATCHED:
            break
    assert world.gate.motion.at_rest(world.now)
    assert world.gate.machine.since_ns == world.now
    assert world.gate.machine.cause == f"{Reason.ESTOP.value}: button"
    assert world.gate.last_error is None


def test_a_hold_ends_in_the_tick_that_clears_it():
    world = moving()
    world.run(400)
    assert world.gate.state is State.HOLD
    for _ in range(40):
        world.chunk(np.tile(world.gate.motion.command(world.now)[0], (8, 1)))
        world.tick(20)
        if world.gate.state is State.ACTIVE:
            break
    assert world.gate.machine.since_ns == world.now
    assert world.gate.report(world.now).enable_blocked_by == ()


def test_only_the_loop_renews_the_lease():
    """A source that speaks must not keep a gate alive whose loop has stopped."""
    world = moving()
    assert world.chunk(np.tile(world.q, (8, 1))).lease is None
    assert world.gate.on_estop("button", False, world.now).lease is None
    assert world.gate.tick(world.now).lease is not None
    assert world.gate.watch(world.now).lease is not None
