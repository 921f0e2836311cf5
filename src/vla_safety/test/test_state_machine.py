"""The table of states, explored exhaustively."""

import itertools

from vla_safety.core.state_machine import ENABLED, MOVING, TABLE, Event, Machine, State


def test_only_reset_leaves_a_latch_and_it_leads_to_ready():
    out = {(e, to) for (s, e), to in TABLE.items() if s is State.LATCHED}
    assert out == {(Event.RESET, State.READY)}
    assert {to for (s, _), to in TABLE.items() if s is State.STOPPING} == {State.LATCHED}


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


def test_no_path_from_a_latch_to_motion_without_reset_and_enable():
    for length in range(1, 6):
        for events in itertools.product(Event, repeat=length):
            machine = Machine()
            machine.state = State.LATCHED
            seen = set()
            for event in events:
                machine.raise_event(event, 0)
                seen.add(event)
                if machine.state in ENABLED:
                    assert {Event.RESET, Event.ENABLE} <= seen


def test_cause_and_count():
    machine = Machine()
    assert not machine.raise_event(Event.FAULT, 1, "x")
    assert machine.raise_event(Event.ENABLE, 2)
    assert machine.raise_event(Event.TRIP, 3, "estop")
    assert machine.raise_event(Event.REST, 4)
    assert (machine.state, machine.cause, machine.transitions) == (State.LATCHED, "estop", 3)
    assert machine.since_ns == 4
