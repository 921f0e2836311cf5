"""Lowered clocks: slow while they last, held while plans come late then, no fault in silence."""

import numpy as np
import pytest
from safety_world import MS, World, count, make_robot

from vla_common.core.trace import Trace
from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import State

HOT = ["thermal, by hardware"]


class Hot(World):
    """A world with a system_monitor that speaks once a second while ``throttled`` is not None."""

    def __init__(self, robot):
        super().__init__(robot)
        self.throttled = None
        self.took = 20 * MS
        self._told = 0

    def tick(self, ms=20.0):
        if self.throttled is not None and self.now - self._told >= 1000 * MS:
            self.tell(self.throttled)
        return super().tick(ms)

    def tell(self, throttled):
        """Let a report come now; it is repeated every second."""
        self.now += 1
        self.throttled, self._told = throttled, self.now
        return self.gate.on_system_health(self.now, throttled, self.now)

    def trace(self):
        """Return the trace of a plan whose inference took as long as is said."""
        return Trace(inference_start_ns=self.now - self.took, inference_ns=self.now)

    def plan(self, ms=60.0, rows=None, confidence=1.0):
        """Let time pass, then a plan come."""
        for _ in range(round(ms / 20)):
            self.tick()
        rows = np.zeros((8, 1)) if rows is None else rows
        return self.chunk(rows, confidence=confidence, trace=self.trace())


@pytest.fixture
def world():
    return Hot(make_robot(1, low_confidence=0.5)).enabled()


def until(world, state, limit_ms=8000):
    """Let plans come until the gate is in a state; return how long it took [ms]."""
    began = world.now
    while world.gate.state is not state:
        world.plan()
        assert (world.now - began) / MS < limit_ms
    return (world.now - began) / MS


def test_one_report_makes_it_slow_and_one_makes_it_normal(world):
    world.tell(HOT)
    world.tick()
    assert world.gate.state is State.SLOW
    assert world.gate.machine.cause == "throttled: thermal, by hardware"
    for _ in range(100):
        world.plan()
        assert world.gate.state is State.SLOW
    world.tell([])
    world.tick()
    assert world.gate.state is State.ACTIVE
    assert [change.state for change in world.changes] == [State.ACTIVE, State.SLOW, State.ACTIVE]
    assert count(world, Reason.THROTTLED) == 0


def test_while_slow_plans_are_followed_slowly(world):
    def fastest():
        q = world.gate.motion.command(world.now)[0]
        world.plan(rows=q + 0.05 * np.arange(1, 9)[:, None])
        return np.abs(world.gate.motion.path.v).max()

    assert max(fastest() for _ in range(6)) > 0.6
    world.tell(HOT)
    assert max([fastest() for _ in range(12)][6:]) <= 0.3 * 1.5 + 1e-9


def test_throttled_before_enable_it_is_slow_from_the_first_plan_on():
    world = Hot(make_robot(1))
    world.tick()
    world.tell(HOT)
    world.tick()
    assert world.gate.state is State.INACTIVE
    assert world.gate.enable(world.now)[0]
    world.chunk(np.zeros((8, 1)))
    assert world.gate.state is State.SLOW
    assert world.actions[-1].state is State.SLOW


def test_late_plans_hold_while_throttled_and_it_clears_by_itself(world):
    world.took = 51 * MS
    world.plan()
    world.tell(HOT)
    world.tick()
    assert world.gate.state is State.HOLD
    cause = "throttled: thermal, by hardware; inference p99 above 50 ms"
    assert world.gate.machine.cause == cause
    for _ in range(100):
        world.plan()
    assert world.gate.state is State.HOLD
    assert count(world, Reason.THROTTLED) == 1
    world.took = 50 * MS
    del world.changes[:]
    assert 2200 < until(world, State.SLOW) <= 2360  # the window, then recover_ms
    assert [change.state for change in world.changes] == [State.ACTIVE, State.SLOW]
    assert world.changes[0].since_ns == world.changes[1].since_ns


def test_the_end_of_throttling_ends_the_hold(world):
    world.took = 80 * MS
    world.tell(HOT)
    until(world, State.HOLD, 200)
    world.tell([])
    assert 200 < until(world, State.ACTIVE) <= 360


def test_late_plans_alone_do_not_hold(world):
    world.took = 400 * MS
    world.throttled = []
    for _ in range(80):
        world.plan()
    assert world.gate.state is State.ACTIVE


def test_hold_comes_between_two_ticks_as_well(world):
    world.took = 80 * MS
    world.plan()
    world.tell(HOT)
    world.gate.watch(world.now)
    assert world.gate.state is State.HOLD


def test_silence_of_system_monitor_ends_the_slowing_down(world):
    world.tell(HOT)
    world.throttled = None
    world.tick()
    assert world.gate.state is State.SLOW
    assert 2900 < until(world, State.ACTIVE) <= 3080
    assert world.changes[-1].cause == "over: throttled: thermal, by hardware"
    for _ in range(100):
        world.plan()
    assert world.gate.state is State.ACTIVE


def test_slow_as_long_as_low_confidence_or_throttling_asks_for_it(world):
    world.tell(HOT)
    for _ in range(5):
        world.plan(confidence=0.2)
    world.tell([])
    for _ in range(4):
        world.plan()
        assert world.gate.state is State.SLOW
    world.plan()  # the fifth good one
    assert world.gate.state is State.ACTIVE
    for _ in range(5):
        world.plan(confidence=0.2)
    assert world.gate.state is State.SLOW
    assert world.gate.machine.cause == "low_confidence"
    world.tell(HOT)
    for _ in range(20):
        world.plan()
        assert world.gate.state is State.SLOW
    world.tell([])
    world.tick()
    assert world.gate.state is State.ACTIVE


def test_low_confidence_keeps_it_slow_over_a_hold(world):
    for _ in range(5):
        world.plan(confidence=0.2)
    assert world.gate.state is State.SLOW
    world.joints_talk = False
    for _ in range(2):
        world.tick()
    assert world.gate.state is State.HOLD
    world.joints_talk = True
    for i in range(10):
        world.plan(confidence=(0.9, 0.2)[i % 2])  # neither sure nor low
        assert world.gate.state is not State.ACTIVE
    assert world.gate.state is State.SLOW


def test_a_latch_stays_a_latch(world):
    world.took = 80 * MS
    world.tell(HOT)
    world.gate.stop(world.now)
    for _ in range(20):
        world.plan()
    assert world.gate.state is State.LATCHED
    assert world.gate.machine.cause == "stop_requested"
