"""Holds and latches: what every fault ends in."""

from __future__ import annotations

from vla_safety.core.announcer import Announcer
from vla_safety.core.causes import Causes
from vla_safety.core.checks import InputCheck
from vla_safety.core.motion import Motion
from vla_safety.core.reasons import Reason
from vla_safety.core.sources import EstopWatch
from vla_safety.core.state_machine import ENABLED, Event, Machine


def cause(reason: Reason, detail: str) -> str:
    """Return the words for a change of state."""
    return f"{reason.value}: {detail}" if detail else reason.value


class Stopping:
    """Changes the state for a fault, voids the plans that are under way and stops the motion."""

    def __init__(
        self,
        machine: Machine,
        causes: Causes,
        checks: InputCheck,
        motion: Motion,
        announcer: Announcer,
        estop: EstopWatch,
    ) -> None:
        self._machine = machine
        self._causes = causes
        self._checks = checks
        self._motion = motion
        self._announcer = announcer
        self._estop = estop

    def hold(self, reason: Reason, now_ns: int, count: bool = True, detail: str = "") -> None:
        """Hold for as long as the cause is there, and a while longer; where enabled, else not."""
        if self._machine.state not in ENABLED:
            return
        self._causes.hold(reason, now_ns, count)
        if self._machine.raise_event(Event.FAULT, now_ns, cause(reason, detail)):
            self._checks.void_old_plans()
            self.stop_motion(now_ns)

    def trip(self, reason: Reason, now_ns: int, count: bool = True, detail: str = "") -> None:
        """Stop, and latch until a reset."""
        self._causes.latch(reason, now_ns, count)
        if self._machine.raise_event(Event.TRIP, now_ns, cause(reason, detail)):
            if reason in (Reason.ESTOP, Reason.HEARTBEAT):
                self._estop.trips += 1
                self._estop.tripped_by = detail
            self._checks.void_old_plans()
            self.stop_motion(now_ns)

    def trip_by_a_bug(self, now_ns: int) -> None:
        """Stop and latch; what was not sent yet may be half made, so from what was sent last.

        It is counted by the caller, each time.
        """
        self._causes.latch(Reason.INTERNAL, now_ns, count=False)
        tripped = self._machine.raise_event(Event.TRIP, now_ns, Reason.INTERNAL.value)
        sent = self._announcer.drop()
        if sent is not None:
            self._motion.go_back(sent)
        if tripped:
            self._checks.void_old_plans()
        self.stop_motion(now_ns)

    def stop_motion(self, now_ns: int) -> None:
        """Stop on a verified path, which is sent with the next output."""
        self._motion.stop(now_ns)
        if self._motion.at_rest(now_ns):
            self._machine.raise_event(Event.REST, now_ns)
        if self._motion.path is not None:
            path = self._motion.rest_of_path(now_ns)
            self._announcer.path(path, None, self._machine.state, now_ns)
