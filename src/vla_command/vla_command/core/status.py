"""When the publisher tells the gate about itself."""

from __future__ import annotations

from vla_command.core.watchdog import Mode, Watchdog

SHORTEST_NS = 15_000_000  # between two, so that every second turn of the 100 Hz loop tells it
CODES = {Mode.WAITING: 0, Mode.ARMED: 1, Mode.FOLLOWING: 2, Mode.LATCHED: 3}
"""The constants of vla_msgs/CommandState."""


class StatusBeat:
    """On change at once, and at 50 Hz."""

    def __init__(self) -> None:
        self._told: tuple[object, ...] = ()
        self._told_ns = 0

    def due(self, watchdog: Watchdog, heard: int, followed: int, now_ns: int) -> bool:
        """Return whether this is to be told now; :class:`.Commander` has heard and followed."""
        told = (watchdog.mode, watchdog.cause, watchdog.problems, heard, followed)
        if told == self._told and now_ns - self._told_ns < SHORTEST_NS:
            return False
        self._told, self._told_ns = told, now_ns
        return True
