"""Whatever comes in, in whatever order: no exception, nothing outside the limits, no motion after
a latch without reset and enable."""

import long_strings
import pytest
from event_strings import EVENTS, Strings
from gate_fuzz import fuzz, trial
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from long_strings import walk
from safety_world import interpreted

from vla_safety.core import checks, limiter, motion, permits, publisher_watch, sources
from vla_safety.core.gate import Gate
from vla_safety.core.reasons import INPUT
from vla_safety.core.state_machine import TABLE, Event, State
from vla_safety.core.values import Output


def test_ten_thousand_mutated_messages():
    found, _ = fuzz(10_000, 1, jobs=1)
    assert not found.problems
    assert found.passed > 1000
    assert found.refused > 2000
    assert set(found.reasons) == {reason.value for reason in INPUT}


def test_a_crash_is_found(monkeypatch):
    def careless(value, low, high, reason):
        return int(value)

    monkeypatch.setattr(checks, "whole", careless)
    problems = [text for seed in range(20) for text in trial(seed).problems]
    assert any("crash" in text for text in problems)


def test_an_unsafe_output_is_found(monkeypatch):
    interpreted(monkeypatch)
    monkeypatch.setattr(limiter, "slowest", lambda v, a, d: v - 1.1 * a)
    problems = [text for seed in range(5) for text in trial(seed).problems]
    assert any("acceleration" in text for text in problems)


def test_a_trial_is_the_same_again():
    assert trial(3) == trial(3)


# --- strings of events --------------------------------------------------------------------------
class EventMachine(RuleBasedStateMachine):
    """Any events in any order; :class:`Strings` compares the gate with its model after each."""

    def __init__(self):
        super().__init__()
        self.strings = Strings()

    def teardown(self):
        self.strings.finish()


def event(name):
    """Return the rule of an event."""

    def happens(self, about):
        self.strings.do(name, about)

    happens.__name__ = name
    return rule(about=st.sampled_from(EVENTS[name]))(happens)


GateMachine = type("GateMachine", (EventMachine,), {name: event(name) for name in EVENTS})
GateMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestGateMachine = GateMachine.TestCase


def test_random_strings_of_events():
    """As ``long_strings.py`` does, which runs as many as wanted."""
    found, _ = walk(120, 1, jobs=1)
    assert found.problems == []
    assert {*EVENTS, "resets", "enables", "old plans refused"} <= set(found.counts)
    assert found.counts["paths after a reset"] > 120  # motion, so that there is something to stop
    assert found.counts["latches"] > 180


DEFECTS = {
    "deactivation forgets a latch": lambda m: m.setitem(
        TABLE, (State.LATCHED, Event.DEACTIVATE), State.INACTIVE
    ),
    "a trip after reset is not heard": lambda m: m.setitem(
        TABLE, (State.READY, Event.TRIP), State.READY
    ),
    "reset ends in motion": lambda m: m.setitem(TABLE, (State.LATCHED, Event.RESET), State.ACTIVE),
    "plans of before a latch pass": lambda m: m.setattr(
        checks.InputCheck, "void_old_plans", lambda self: None
    ),
    "silent heartbeats are not seen": lambda m: m.setattr(
        sources.EstopWatch, "silent", lambda self, now_ns: []
    ),
    "an arm that moves is not seen": lambda m: m.setattr(
        sources.JointWatch, "still", lambda self: True
    ),
    "stale joint states are not seen": lambda m: m.setattr(
        sources.JointWatch, "stale", lambda self, now_ns: not self.known
    ),
    "a stop that has not ended is not seen": lambda m: m.setattr(
        motion.Motion, "at_rest", lambda self, now_ns: True
    ),
    "the publisher is believed": lambda m: m.setattr(
        publisher_watch.PublisherWatch, "fault", lambda self, *_: ""
    ),
    "the publisher need not be armed": lambda m: m.setattr(
        publisher_watch.PublisherWatch, "blocked_by", lambda self, *_: []
    ),
    "a cause may have been there just now": lambda m: m.setattr(permits, "RESET_CLEAR_NS", 0),
    "a bug does not latch": lambda m: m.setattr(
        Gate, "internal_error", lambda self, error, now_ns: Output()
    ),
}


@pytest.mark.parametrize("what", DEFECTS)
def test_a_defect_is_found_by_a_random_string(monkeypatch, what):
    DEFECTS[what](monkeypatch)
    assert any(long_strings.trial(seed).problems for seed in range(100))
