"""Whether the gate may be followed: its lease, and the latch that only a new enable opens."""

from __future__ import annotations

from enum import Enum

from vla_command.core.path import GateState

IDLE = frozenset({GateState.INACTIVE, GateState.READY})
MOVING = frozenset({GateState.ACTIVE, GateState.SLOW})


class Mode(str, Enum):
    """What the publisher does with paths."""

    WAITING = "waiting"  # since start: no enable was seen yet
    ARMED = "armed"  # the gate was seen disabled: its next enable is a fresh one
    FOLLOWING = "following"  # paths are sent on
    LATCHED = "latched"  # stopped; needs the gate to be reset and enabled anew


class Watchdog:
    """Follows the gate's state and lease.

    A publisher that starts, and one whose lease was lost, moves only after it has seen the gate
    disabled and then enabled: an arm that was left standing is not pulled along by a plan that
    went on without it. Losing the lease latches; so does :meth:`hold`, until :meth:`release`.
    """

    def __init__(self, lease_ns: int) -> None:
        """``lease_ns`` bounds what a lease may promise from the moment it is heard."""
        self.mode = Mode.WAITING
        self.cause = "no enable of the gate seen since start"
        self.valid_until_ns = 0
        self.trips = 0
        self.armed = 0
        self._lease_ns = lease_ns
        self._held = ""

    def hear(self, state: int, valid_until_ns: int, now_ns: int) -> None:
        """Take a sign of life; ``valid_until_ns`` is 0 when it carries no lease."""
        self.valid_until_ns = max(self.valid_until_ns, min(valid_until_ns, now_ns + self._lease_ns))
        if self._held:
            return
        stopped = state == GateState.LATCHED and self.mode in (Mode.WAITING, Mode.LATCHED)
        if (state in IDLE and self.mode is not Mode.ARMED) or stopped:
            self.mode, self.cause = Mode.ARMED, "the gate is not enabled"
            self.armed += 1
        elif state in MOVING and self.mode is Mode.ARMED and now_ns < self.valid_until_ns:
            self.mode, self.cause = Mode.FOLLOWING, ""

    def check(self, now_ns: int) -> bool:
        """Return True once when the lease is lost while following; from then on latched."""
        if self.mode is not Mode.FOLLOWING or now_ns < self.valid_until_ns:
            return False
        self.trips += 1
        self.mode = Mode.LATCHED
        self.cause = "the gate fell silent: lease lost; reset and enable the gate"
        return True

    def hold(self, cause: str) -> bool:
        """Latch and stay so whatever the gate says; return whether it was following."""
        following = self.mode is Mode.FOLLOWING
        if not self._held:
            self.trips += 1
        self._held = self.cause = cause
        self.mode = Mode.LATCHED
        return following

    def release(self) -> None:
        """End :meth:`hold`; a fresh enable is still needed."""
        if self._held:
            self._held = ""
            self.cause += " (gone; reset and enable the gate)"

    def margin_ns(self, now_ns: int) -> int:
        """Return for how long the lease still holds; negative when it is over."""
        return self.valid_until_ns - now_ns
