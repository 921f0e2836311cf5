"""Emergency stops in the gate: service, own source, several sources; every change is told."""

import itertools

import numpy as np
import pytest
from safety_world import MS, World, make_robot

from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import State

OWN = "estop_plugin test"


@pytest.fixture
def world():
    return World(make_robot(2)).enabled()


def moving(world):
    """Let the arm move."""
    for _ in range(5):
        q = world.gate.motion.command(world.now)[0]
        world.chunk(q + 0.02 * np.arange(1, 9)[:, None])
        world.tick(20), world.tick(20), world.tick(10)
    assert world.gate.motion.command(world.now)[1].any()
    return world


def wait(world, ms, beat=None):
    """Let time pass, with plans, and a heartbeat each tick."""
    for _ in range(round(ms / 20)):
        if beat is not None:
            beat()
        world.tick()


# --- the service ------------------------------------------------------------------------------
def test_the_service_stops_and_only_reset_then_enable_end_it(world):
    moving(world)
    ok, message = world.gate.press(world.now)
    assert ok
    assert "STOPPING" in message
    world.tick()
    assert world.last.report.cause == "estop_pressed: ~/estop"
    assert world.gate.estop.trips == 1
    assert world.gate.estop.tripped_by == "~/estop"
    wait(world, 400)
    assert world.gate.state is State.LATCHED
    assert "estop_pressed less than 1 s ago" in world.gate.reset(world.now)[1]
    assert not world.gate.enable(world.now)[0]
    wait(world, 700)
    assert world.gate.reset(world.now)[0]
    wait(world, 500)
    assert world.gate.state is State.READY
    assert world.gate.enable(world.now)[0]


@pytest.mark.parametrize("state", list(State))
def test_the_service_latches_from_every_state(state):
    world = World(make_robot(2))
    world.tick()
    world.gate.machine.state = state
    assert world.gate.press(world.now)[0]
    world.tick()
    assert world.gate.state is State.LATCHED


def test_pressing_again_puts_reset_off(world):
    world.gate.press(world.now)
    wait(world, 900)
    world.gate.press(world.now)
    wait(world, 200)
    assert not world.gate.reset(world.now)[0]
    wait(world, 900)
    assert world.gate.reset(world.now)[0]
    assert world.gate.counts.total[Reason.ESTOP] == 1


# --- the source in the gate's process -----------------------------------------------------------
def test_an_own_source_must_be_heard_before_enable_and_in_time():
    world = World(make_robot(2))
    world.gate.estop.expect(OWN, world.now)
    world.tick()
    assert f"e-stop not heard yet: {OWN}" in world.gate.enable(world.now)[1]
    world.gate.on_own_estop(False, world.now)
    assert world.gate.enable(world.now)[0]


def test_an_own_source_that_never_speaks_latches():
    world = World(make_robot(2))
    world.gate.estop.expect(OWN, world.now)
    world.run(120)
    assert world.gate.state is State.INACTIVE
    world.run(20)
    assert world.gate.state is State.LATCHED
    assert world.gate.machine.cause == f"estop_heartbeat_lost: {OWN}"


@pytest.mark.parametrize("answer", [True, None, 1, 0, "no", np.False_])
def test_anything_but_false_from_an_own_source_is_a_stop(world, answer):
    world.gate.estop.expect(OWN, world.now)
    world.gate.on_own_estop(answer, world.now)
    assert world.gate.state is State.LATCHED
    assert world.gate.machine.cause == f"estop_pressed: {OWN}"


def test_an_own_source_that_falls_silent_latches_within_its_time(world):
    moving(world)
    world.gate.estop.expect(OWN, world.now)
    world.gate.on_own_estop(False, world.now)
    began = world.now
    while world.gate.state in (State.ACTIVE, State.HOLD):
        world.tick(10)
    assert 125 * MS < world.now - began <= 135 * MS
    wait(world, 2000)
    assert f"e-stop heartbeat lost: {OWN}" in world.gate.reset(world.now)[1]


def test_nobody_on_the_topic_can_speak_for_the_own_source(world):
    world.gate.estop.expect(OWN, world.now)
    world.gate.on_own_estop(True, world.now)
    world.gate.on_estop(OWN, False, world.now)
    assert world.gate.estop.pressed() == [OWN]
    wait(world, 200, lambda: world.gate.on_estop(OWN, False, world.now))
    assert world.gate.estop.silent(world.now) == [OWN]


def test_a_new_start_asks_for_the_own_source_anew(world):
    world.gate.estop.expect(OWN, world.now)
    world.gate.on_own_estop(False, world.now)
    world.now += 5000 * MS
    world.gate.estop.expect(OWN, world.now)
    assert not world.gate.estop.silent(world.now)
    assert world.gate.estop.unheard() == [OWN]


# --- several sources ----------------------------------------------------------------------------
def test_one_pressed_among_several_is_a_stop_and_each_must_talk(world):
    for name in ("a", "b", "c"):
        world.gate.on_estop(name, False, world.now)
    assert world.gate.state is State.ACTIVE
    world.gate.on_estop("b", True, world.now)
    assert world.gate.machine.cause == "estop_pressed: b"
    wait(world, 300, lambda: [world.gate.on_estop(n, False, world.now) for n in "ab"])
    assert world.gate.estop.silent(world.now) == ["c"]


def test_more_sources_than_are_kept_are_a_stop(world):
    for i in range(8):
        world.gate.on_estop(f"source {i}", False, world.now)
    assert world.gate.state is State.ACTIVE
    world.gate.on_estop("one too many", False, world.now)
    assert world.gate.state is State.LATCHED
    assert world.gate.machine.cause == "estop_pressed: more than 8 sources"
    for i in range(1000):
        world.gate.on_estop(f"junk {i}", False, world.now)
    assert len(world.gate.estop._sources) == 8
    assert world.gate.estop.pressed() == ["more than 8 sources"]


# --- every change is told -----------------------------------------------------------------------
def test_two_changes_at_once_are_both_told_with_their_time_and_cause(world):
    world.tick()
    at = world.now
    output = world.take(world.gate.on_estop("button", True, world.now))  # at rest: latched at once
    stopping, latched = output.changes
    assert (stopping.previous, stopping.state) == (State.ACTIVE, State.STOPPING)
    assert (latched.previous, latched.state) == (State.STOPPING, State.LATCHED)
    assert stopping.cause == latched.cause == "estop_pressed: button"
    assert stopping.since_ns == latched.since_ns == at
    assert latched.transitions == stopping.transitions + 1
    assert "e-stop pressed: button" in latched.reset_blocked_by
    assert output.report == latched
    assert not world.tick().changes


def test_a_change_made_by_a_service_is_told_with_the_next_output(world):
    world.tick()
    world.gate.stop(world.now)
    assert [change.state for change in world.tick().changes] == [State.STOPPING, State.LATCHED]


def test_the_numbers_of_changes_have_no_gap():
    world = World(make_robot(2, auto_enable=True))
    told = []
    for i in range(600):
        world.tick()
        told += world.last.changes
        if i % 97 == 50:
            world.gate.stop(world.now)
        if world.gate.reset(world.now)[0]:
            assert world.gate.enable(world.now)[0]
    assert len(told) > 10
    assert [change.transitions for change in told] == list(range(1, len(told) + 1))
    for before, after in itertools.pairwise(told):
        assert after.previous is before.state
        assert after.since_ns >= before.since_ns
