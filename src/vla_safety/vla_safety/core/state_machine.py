"""The states of the gate and what leads from one to another.

A pure table: what is not in it changes nothing. The conditions of ``RESET`` and ``ENABLE`` are
checked by the gate before it raises them. Reset never leads to motion; only ``ENABLE`` leaves
INACTIVE or READY for a state in which plans pass, and only ``RESET`` leaves LATCHED.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum, IntEnum


class State(IntEnum):
    """States; the values are the constants of vla_msgs/SafetyState."""

    INACTIVE = 0
    READY = 1
    ACTIVE = 2
    SLOW = 3
    HOLD = 4
    STOPPING = 5
    LATCHED = 6


class Event(Enum):
    """What the gate raises."""

    ENABLE = "enable"
    RESET = "reset"
    TRIP = "trip"  # a cause that latches
    FAULT = "fault"  # a cause that holds
    CLEAR = "clear"  # no cause holds any more
    SLOW = "slow"  # plans pass, scaled down
    NORMAL = "normal"  # plans pass at full speed
    REST = "rest"  # the stop has ended
    DEACTIVATE = "deactivate"  # the node is deactivated


TABLE: dict[tuple[State, Event], State] = {
    (State.INACTIVE, Event.ENABLE): State.ACTIVE,
    (State.READY, Event.ENABLE): State.ACTIVE,
    (State.LATCHED, Event.RESET): State.READY,
    (State.STOPPING, Event.REST): State.LATCHED,
    (State.INACTIVE, Event.TRIP): State.STOPPING,
    (State.READY, Event.TRIP): State.STOPPING,
    (State.ACTIVE, Event.TRIP): State.STOPPING,
    (State.SLOW, Event.TRIP): State.STOPPING,
    (State.HOLD, Event.TRIP): State.STOPPING,
    (State.ACTIVE, Event.FAULT): State.HOLD,
    (State.SLOW, Event.FAULT): State.HOLD,
    (State.HOLD, Event.CLEAR): State.ACTIVE,
    (State.ACTIVE, Event.SLOW): State.SLOW,
    (State.SLOW, Event.NORMAL): State.ACTIVE,
    (State.READY, Event.DEACTIVATE): State.INACTIVE,
    (State.ACTIVE, Event.DEACTIVATE): State.INACTIVE,
    (State.SLOW, Event.DEACTIVATE): State.INACTIVE,
    (State.HOLD, Event.DEACTIVATE): State.INACTIVE,
}

IDLE = frozenset({State.INACTIVE, State.READY})
"""States that an enable leaves."""
MOVING = frozenset({State.ACTIVE, State.SLOW})
"""States in which plans pass."""
ENABLED = frozenset({State.ACTIVE, State.SLOW, State.HOLD})
STANDING = frozenset({State.INACTIVE, State.READY, State.LATCHED})
"""States in which the arm was not enabled."""


UNTOLD = 256
"""Changes that are kept until somebody asks for them."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of state: number ``number`` since start, at monotonic time ``at_ns``."""

    number: int
    previous: State
    state: State
    cause: str
    at_ns: int


class Machine:
    """The current state, why it was entered, and the changes that were not told yet."""

    def __init__(self) -> None:
        self.state = State.INACTIVE
        self.previous = State.INACTIVE
        self.cause = ""
        self.since_ns = 0
        self.transitions = 0
        self._untold: deque[Change] = deque(maxlen=UNTOLD)

    def raise_event(self, event: Event, now_ns: int, cause: str = "") -> bool:
        """Follow the table; return whether the state changed."""
        following = TABLE.get((self.state, event))
        if following is None:
            return False
        if event is not Event.REST:
            self.cause = cause
        self.previous, self.state = self.state, following
        self.since_ns = now_ns
        self.transitions += 1
        self._untold.append(Change(self.transitions, self.previous, following, self.cause, now_ns))
        return True

    @property
    def over(self) -> str:
        """The cause of a state that follows another whose cause has gone."""
        return f"over: {self.cause}"

    def take_changes(self) -> tuple[Change, ...]:
        """Return the changes since the last call, oldest first."""
        if not self._untold:
            return ()
        changes = tuple(self._untold)
        self._untold.clear()
        return changes
