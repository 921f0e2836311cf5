"""Whether the gate may be followed: its lease, and the latch that only a new enable opens."""

from __future__ import annotations

from enum import Enum

from vla_command.core.path import STATES, GateState

IDLE = frozenset({GateState.INACTIVE, GateState.READY})
ENABLED = frozenset({GateState.ACTIVE, GateState.SLOW, GateState.HOLD})
"""Reached from an enable; a gate may hold before anything else of it is heard."""


class Mode(str, Enum):
    """What the publisher does with paths."""

    WAITING = "waiting"  # since start: the gate was not seen disabled yet, or there are problems
    ARMED = "armed"  # the gate was seen disabled: its next enable is a fresh one
    FOLLOWING = "following"  # paths are sent on
    LATCHED = "latched"  # stopped; armed again when the gate is latched, ready or inactive


class Watchdog:
    """Follows the gate's state and lease.

    A publisher that starts, and one whose lease was lost, moves only after it has seen the gate
    disabled and then enabled: an arm that was left standing is not pulled along by a plan that
    went on without it. Losing the lease latches; so do problems, while they last.
    The gate hears of it, and latches too.
    """

    def __init__(self, lease_ns: int) -> None:
        """``lease_ns`` bounds what a lease may promise from the moment it is heard."""
        self.mode = Mode.WAITING
        self.cause = "no enable of the gate seen since start"
        self.valid_until_ns = 0
        self.trips = 0
        self.armed = 0
        self.problems: tuple[str, ...] = ()
        self.lease_ns = lease_ns

    def hear(self, state: int, valid_until_ns: int, now_ns: int, ended: bool = False) -> None:
        """Take a sign of life.

        ``ended`` says that the last path of a latched gate was followed to its end.
        Leases and paths come on two topics, and one may overtake the other: what was sent before
        something that was heard already says nothing. A lease that has ended is not renewed by
        what comes after: :meth:`check` is the only way on. A gate that sent nothing for as long as
        its lease while armed may be another one since: that is a fresh start. A state that is not
        known is no sign of life.
        """
        if state not in STATES:
            return
        if valid_until_ns < self.valid_until_ns or self.expired(now_ns):
            return
        if self.mode is Mode.ARMED and valid_until_ns - self.lease_ns >= self.valid_until_ns:
            self.armed += 1
            if state in ENABLED:
                self.latch("the gate fell silent before its enable")
        self.valid_until_ns = min(valid_until_ns, now_ns + self.lease_ns)
        if self.problems:
            return
        latched = state == GateState.LATCHED and (self.mode is not Mode.FOLLOWING or ended)
        if state in IDLE or latched:
            if self.mode is not Mode.ARMED:
                self.mode, self.cause = Mode.ARMED, "the gate is not enabled"
                self.armed += 1
        elif state in ENABLED and self.mode is Mode.ARMED and now_ns < self.valid_until_ns:
            self.mode, self.cause = Mode.FOLLOWING, ""

    def expired(self, now_ns: int) -> bool:
        """Whether the lease has ended while following."""
        return self.mode is Mode.FOLLOWING and now_ns >= self.valid_until_ns

    def check(self, now_ns: int) -> bool:
        """Return True once when the lease is lost while following; from then on latched."""
        if not self.expired(now_ns):
            return False
        self.latch("the gate fell silent: lease lost")
        return True

    def latch(self, cause: str) -> None:
        """Stop following until a fresh enable."""
        self.trips += self.mode is Mode.FOLLOWING
        self.mode, self.cause = Mode.LATCHED, cause

    def hold(self, problems: tuple[str, ...]) -> None:
        """Follow nothing, whatever the gate says, until called without problems.

        A fresh enable of the gate is needed then as well.
        """
        if problems:
            self.trips += self.mode is Mode.FOLLOWING
            stopped = self.mode in (Mode.FOLLOWING, Mode.LATCHED)
            self.mode = Mode.LATCHED if stopped else Mode.WAITING
            self.cause = "; ".join(problems)
        elif self.problems:
            self.cause += " (gone)"
        self.problems = problems

    @property
    def due_ns(self) -> int:
        """When the lease is lost unless the gate is heard again; 0 while it does not matter."""
        return self.valid_until_ns if self.mode is Mode.FOLLOWING else 0

    def margin_ns(self, now_ns: int) -> int:
        """Return for how long the lease still holds; negative when it is over."""
        return self.valid_until_ns - now_ns
