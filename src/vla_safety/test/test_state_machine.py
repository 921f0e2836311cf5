"""The states, explored exhaustively against a model that was written from docs/safety.md."""

import itertools

import numpy as np
import pytest
from safety_world import MS, World, make_robot, moving
from state_model import (
    DEAD,
    FACTS,
    MAY_MOVE,
    MOVES,
    NOT_ENABLED,
    PRESSED,
    RECENT,
    STALE,
    STOPPED,
    UNARMED,
    UNENDED,
    WAS_ENABLED,
    Step,
    explore,
    following,
    may_enable,
    may_reset,
)

from vla_safety.core import permits
from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import ENABLED, IDLE, MOVING, TABLE, Event, Machine, State

EVERY = list(itertools.product(State, Event))


# --- each step --------------------------------------------------------------------------------
@pytest.mark.parametrize(("state", "event"), EVERY)
def test_every_event_in_every_state_leads_where_the_page_says(state, event):
    machine = Machine()
    machine.state = state
    changed = machine.raise_event(event, 7, "why")
    assert machine.state is following(state, event)
    assert changed == (machine.state is not state)
    assert machine.transitions == changed
    assert [c.state for c in machine.take_changes()] == [machine.state] * changed


def test_the_names_of_groups_of_states():
    assert (ENABLED, MOVING, IDLE) == (WAS_ENABLED, MAY_MOVE, NOT_ENABLED)


def test_only_enable_begins_motion():
    for (state, event), to in TABLE.items():
        if state not in ENABLED and to in ENABLED:
            assert event is Event.ENABLE
        if state in ENABLED and to not in ENABLED:
            assert event in (Event.TRIP, Event.DEACTIVATE)


def test_every_trip_stops():
    for state in State:
        if state not in (State.STOPPING, State.LATCHED):
            assert TABLE[(state, Event.TRIP)] is State.STOPPING
        assert TABLE.get((state, Event.TRIP), state) not in MOVING


# --- all paths --------------------------------------------------------------------------------
def test_no_path_from_a_latch_to_motion_without_reset_and_enable():
    found = explore(TABLE)
    assert found.wrong == []
    at = {(node.state, node.step) for node in found.came_from}
    assert at == {
        (State.INACTIVE, Step.RESET),
        (State.READY, Step.RESET),
        *((state, Step.ENABLED) for state in WAS_ENABLED),
        (State.STOPPING, Step.TRIPPED),
        (State.LATCHED, Step.AT_REST),
    }
    assert len(found.came_from) == len(at) << len(FACTS)  # whatever the facts are meanwhile


def test_from_everywhere_a_trip_stops_and_the_way_back_is_open():
    for node in explore(TABLE).came_from:
        state = TABLE.get((node.state, Event.TRIP), node.state)
        for event in (Event.REST, Event.RESET, Event.ENABLE):
            assert state not in WAS_ENABLED
            state = TABLE.get((state, event), state)
        assert state is State.ACTIVE


WRONG = {
    "a latch that enable ends": {(State.LATCHED, Event.ENABLE): State.ACTIVE},
    "a latch that ends by itself": {(State.LATCHED, Event.CLEAR): State.READY},
    "a latch that deactivation forgets": {(State.LATCHED, Event.DEACTIVATE): State.INACTIVE},
    "a stop that deactivation forgets": {(State.STOPPING, Event.DEACTIVATE): State.INACTIVE},
    "a reset that moves": {(State.LATCHED, Event.RESET): State.ACTIVE},
    "a reset that holds": {(State.LATCHED, Event.RESET): State.HOLD},
    "a reset during the stop": {(State.STOPPING, Event.RESET): State.READY},
    "a stop that ends in no latch": {(State.STOPPING, Event.REST): State.READY},
    "a stop that ends in a hold": {(State.STOPPING, Event.REST): State.HOLD},
    "a reset that enables what was not": {(State.READY, Event.RESET): State.ACTIVE},
    "motion without enable": {(State.READY, Event.NORMAL): State.ACTIVE},
    "a hold of what was not enabled": {(State.INACTIVE, Event.FAULT): State.HOLD},
    # only the order tells these: reset, latched again, enable
    "a trip after reset that is not heard": {(State.READY, Event.TRIP): State.READY},
    "a trip before enable that is not heard": {(State.INACTIVE, Event.TRIP): State.INACTIVE},
    "a trip in a hold that is not heard": {(State.HOLD, Event.TRIP): State.HOLD},
    "a trip that only holds": {(State.SLOW, Event.TRIP): State.HOLD},
    "a trip that only switches off": {(State.ACTIVE, Event.TRIP): State.INACTIVE},
    "motion that deactivation does not end": {(State.SLOW, Event.DEACTIVATE): State.SLOW},
    "a hold that deactivation ends in motion": {(State.HOLD, Event.DEACTIVATE): State.ACTIVE},
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_table_is_found(what):
    assert explore({**TABLE, **WRONG[what]}, [UNENDED]).wrong


def test_of_all_tables_with_one_wrong_entry_those_that_let_the_arm_move_are_found():
    """What is not found only stops more, or lets less be enabled."""
    found = 0
    for (state, event), to in itertools.product(EVERY, State):
        right = following(state, event)
        if to is right:
            continue
        if explore({**TABLE, (state, event): to}, [UNENDED]).wrong:
            found += 1
            continue
        assert to not in WAS_ENABLED or right in WAS_ENABLED, (state, event, to)
        assert to in STOPPED or right not in STOPPED, (state, event, to)
    assert found > 200


# --- when reset and enable are granted ----------------------------------------------------------
@pytest.fixture(scope="module")
def gates():
    """Return two gates: of an arm at rest, and of one that is on its way."""
    return World(make_robot(3)).enabled(), moving(World(make_robot(3)).enabled())


def put(world, state, facts):
    """Put a gate into a state, with some facts, past everything that would react to them."""
    gate, now = world.gate, world.now
    gate.machine.state = state
    gate.estop.update("button", PRESSED in facts, now)
    gate.estop.update("pendant", False, now - (126 if DEAD in facts else 125) * MS)
    at = now - (31 if STALE in facts else 30) * MS
    gate.joints._seen_ns[:] = -1  # time may run backwards here
    speed = [0.0, 0.031 if MOVES in facts else 0.03, 0.0]
    gate.on_joint_state(world.robot.joints, gate.motion.command(now)[0], speed, at)
    gate.publisher.update(0 if UNARMED in facts else 1, "", gate.announcer.seq, [], now)
    gate.causes.latched[Reason.STOP] = now - (999 if RECENT in facts else 1000) * MS


def disagreements(gates):
    """Return where the gate grants what the model does not, or refuses what it does."""
    found = []
    some = itertools.product((False, True), repeat=len(FACTS))
    for state, given in itertools.product(State, some):
        facts = frozenset(np.flatnonzero(given).tolist())
        world = gates[UNENDED in facts]
        granted = {
            "reset": state is State.LATCHED and may_reset(facts),
            "enable": state in NOT_ENABLED and may_enable(facts),
        }
        for name, expected in granted.items():
            put(world, state, facts)
            ok, why = getattr(world.gate, name)(world.now)
            after = following(state, Event(name)) if expected else state
            if ok != expected or world.gate.state is not after or not why:
                found.append((name, state, facts))
    return found


def test_reset_and_enable_are_granted_when_and_only_when_the_page_says(gates):
    assert [world.gate.motion.at_rest(world.now) for world in gates] == [True, False]
    assert disagreements(gates) == []


UNSEEN = {
    PRESSED: ("estop", "pressed", list),
    DEAD: ("estop", "silent", lambda now_ns: []),
    STALE: ("joints", "stale", lambda now_ns: False),
    MOVES: ("joints", "still", lambda: True),
    UNENDED: ("motion", "at_rest", lambda now_ns: True),
    UNARMED: ("publisher", "blocked_by", lambda seq, now_ns: []),
}


@pytest.mark.parametrize("fact", range(len(FACTS)), ids=FACTS)
def test_a_gate_that_does_not_see_a_fact_is_found(gates, monkeypatch, fact):
    if fact == RECENT:
        monkeypatch.setattr(permits, "RESET_CLEAR_NS", 0)
    else:
        part, method, blind = UNSEEN[fact]
        for world in gates:
            monkeypatch.setattr(getattr(world.gate, part), method, blind)
    found = disagreements(gates)
    assert ("reset", State.LATCHED, frozenset({fact})) in found
    assert all(facts - {RECENT} <= {fact} for _, _, facts in found)


def test_cause_and_count():
    machine = Machine()
    assert not machine.raise_event(Event.FAULT, 1, "x")
    assert machine.raise_event(Event.ENABLE, 2)
    assert machine.raise_event(Event.TRIP, 3, "estop")
    assert machine.raise_event(Event.REST, 4)
    assert (machine.state, machine.cause, machine.transitions) == (State.LATCHED, "estop", 3)
    assert machine.since_ns == 4
