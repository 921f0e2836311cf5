"""The gate's states as docs/safety.md tells them, and a walk through all that can happen.

Nothing here comes from the table of the code: not what leads where, nor when reset and enable are
granted. A monitor watches the events alone, in their order, and says whether the arm may move.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from vla_safety.core.state_machine import Event, State

Table = Mapping[tuple[State, Event], State]

NOT_ENABLED = {State.INACTIVE, State.READY}
MAY_MOVE = {State.ACTIVE, State.SLOW}
WAS_ENABLED = MAY_MOVE | {State.HOLD}
STOPPED = {State.STOPPING, State.LATCHED}

FACTS = (
    "a source is pressed",
    "a heartbeat is dead",
    "joint states are stale",
    "the arm moves",
    "the stop has not ended",
    "the publisher is not armed",
    "the cause was there less than 1 s ago",
)
"""What stands in the way of reset; all but the last also in the way of enable."""
PRESSED, DEAD, STALE, MOVES, UNENDED, UNARMED, RECENT = range(len(FACTS))
Facts = frozenset[int]


def may_reset(facts: Facts) -> bool:
    """Return whether reset is granted while LATCHED."""
    return not facts


def may_enable(facts: Facts) -> bool:
    """Return whether enable is granted while not enabled and not latched."""
    return not facts - {RECENT}


def following(state: State, event: Event) -> State:
    """Return where an event leads to, by the page's section on states."""
    if event is Event.TRIP:  # whatever latches stops from everywhere; a latch stays one
        return state if state in STOPPED else State.STOPPING
    if state is State.STOPPING:  # the arm comes to rest, and nothing else ends it
        return State.LATCHED if event is Event.REST else state
    if state is State.LATCHED:  # only reset leads out, and it never moves anything
        return State.READY if event is Event.RESET else state
    if event is Event.DEACTIVATE:  # an enable is needed anew
        return State.INACTIVE
    if state in NOT_ENABLED:  # only enable leads to moving
        return State.ACTIVE if event is Event.ENABLE else state
    if event is Event.FAULT:
        return State.HOLD
    if state is State.HOLD:  # it ends by itself
        return State.ACTIVE if event is Event.CLEAR else state
    if event is Event.SLOW:
        return State.SLOW
    return State.ACTIVE if event is Event.NORMAL else state


class Step(Enum):
    """How far the operator's steps have come; motion is allowed in the last alone."""

    TRIPPED = "latched"
    AT_REST = "latched, and the arm came to rest"
    RESET = "reset after the latch, or never latched"
    ENABLED = "enabled after that"


def advance(step: Step, event: Event, facts: Facts) -> Step:
    """Return the next step: each one counts only after the one before."""
    if event is Event.TRIP:
        return step if step is Step.AT_REST else Step.TRIPPED
    if step is Step.TRIPPED:
        return Step.AT_REST if event is Event.REST and UNENDED not in facts else step
    if step is Step.AT_REST:
        return Step.RESET if event is Event.RESET and may_reset(facts) else step
    if event is Event.DEACTIVATE:
        return Step.RESET
    if event is Event.ENABLE and may_enable(facts):
        return Step.ENABLED
    return step


@dataclass(frozen=True, slots=True)
class Node:
    """A state of the machine, what the monitor knows, and the facts of the moment."""

    state: State
    step: Step
    facts: Facts


START = Node(State.INACTIVE, Step.RESET, frozenset())


@dataclass
class Explored:
    """Every node that can be reached, with the way to it; and what was wrong there."""

    came_from: dict[Node, tuple[Node, str] | None]
    wrong: list[str]
    steps: int = 0

    def way_to(self, node: Node) -> str:
        """Return a shortest way from the start."""
        words: list[str] = []
        before = self.came_from[node]
        while before is not None:
            node, word = before
            words.append(word)
            before = self.came_from[node]
        return ", ".join(reversed(words)) or "at the start"


def explore(table: Table, facts: Iterable[int] = range(len(FACTS))) -> Explored:
    """Follow every event from every node until nothing new is found; ``facts`` come and go."""
    found = Explored({START: None}, [])
    waiting = deque([START])
    while waiting:
        node = waiting.popleft()
        for word, after in _successors(node, table, facts):
            found.steps += 1
            if after not in found.came_from:
                found.came_from[after] = node, word
                waiting.append(after)
            found.wrong += [f"{text}: {found.way_to(node)}, {word}" for text in _wrong(node, after)]
    return found


def _successors(node: Node, table: Table, facts: Iterable[int]) -> list[tuple[str, Node]]:
    """Return what can come next; a request that is not granted raises no event."""
    found = [
        (f"{'no longer ' * (fact in node.facts)}{FACTS[fact]}",
         Node(node.state, node.step, node.facts ^ {fact}))
        for fact in facts
    ]  # fmt: skip
    refused = {
        Event.RESET: not may_reset(node.facts),
        Event.ENABLE: not may_enable(node.facts),
        Event.REST: UNENDED in node.facts,
    }
    for event in Event:
        if not refused.get(event, False):
            state = table.get((node.state, event), node.state)
            step = advance(node.step, event, node.facts)
            found.append((event.value, Node(state, step, node.facts)))
    return found


def _wrong(before: Node, after: Node) -> list[str]:
    """Return what the monitor does not allow."""
    found = []
    if after.state in WAS_ENABLED and after.step is not Step.ENABLED:
        found.append(f"{after.state.name} although only {after.step.value}")
    if after.step in (Step.TRIPPED, Step.AT_REST) and after.state not in STOPPED:
        found.append(f"{after.state.name} although {after.step.value}")
    if before.state in STOPPED and after.state not in STOPPED and before.facts:
        found.append(f"out of the latch while {', '.join(FACTS[i] for i in before.facts)}")
    return found
