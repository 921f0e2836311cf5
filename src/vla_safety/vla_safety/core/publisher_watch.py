"""What the gate knows of the publisher: whether it is there, and whether it follows.

Without this the gate would say ACTIVE while nothing reaches the arm, or let plans pass to an arm
whose publisher has given up.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

NAME = "joint_command_publisher"


class CommandMode(IntEnum):
    """What the publisher does with paths; the constants of vla_msgs/CommandState."""

    WAITING = 0
    ARMED = 1
    FOLLOWING = 2
    LATCHED = 3


class PublisherWatch:
    """The newest state that the publisher told.

    Reset and enable ask that it is heard, armed and without problems. From enable on it must
    begin to follow within ``patience_ns``, stay so, and never be silent for longer than that.
    """

    def __init__(self, patience_ns: int) -> None:
        self.mode = CommandMode.WAITING
        self.cause = ""
        self.seq = 0
        self.problems: tuple[str, ...] = ()
        self.heard_ns = -1
        self._followed_ns = -1
        self._patience_ns = patience_ns

    def update(self, mode: Any, cause: Any, seq: Any, problems: Any, now_ns: int) -> None:
        """Take a state. A mode that is not known counts as waiting."""
        known = isinstance(mode, int) and 0 <= mode < len(CommandMode)
        self.mode = CommandMode(mode) if known else CommandMode.WAITING
        self.cause = str(cause) if known else f"it told of an unknown mode, {mode!r}"
        self.seq = seq if isinstance(seq, int) else 0
        listed = isinstance(problems, Sequence) and not isinstance(problems, str)
        self.problems = tuple(map(str, problems)) if listed else (str(problems),)
        self.heard_ns = now_ns
        if self.mode is CommandMode.FOLLOWING:
            self._followed_ns = now_ns

    def silent(self, now_ns: int) -> bool:
        """Return whether nothing was heard lately."""
        return self.heard_ns < 0 or now_ns - self.heard_ns > self._patience_ns

    def blocked_by(self, seq: int, now_ns: int) -> list[str]:
        """Return what stands in the way of reset and enable; ``seq`` is of the last path sent.

        A publisher arms by itself once the stop of a latched gate has ended.
        """
        if self.silent(now_ns):
            return [f"{NAME} is not heard on /vla/command_state"]
        if self.problems:
            return [f"{NAME}: {problem}" for problem in self.problems]
        if self.mode is not CommandMode.ARMED:
            return [self._not("armed")]
        if not 0 < self.seq <= seq:
            return [f"{NAME} has taken no path of this gate yet"]
        return []

    def fault(self, enabled_ns: int, now_ns: int) -> str:
        """Return why the publisher cannot be relied on, empty when it can.

        Asked while the gate is enabled, which it is since ``enabled_ns``.
        """
        if self.silent(now_ns):
            return f"{NAME} is silent"
        if self.mode is CommandMode.FOLLOWING:
            return f"{NAME}: {self.problems[0]}" if self.problems else ""
        starting = (
            self.mode is CommandMode.ARMED
            and self._followed_ns < enabled_ns
            and now_ns - enabled_ns <= self._patience_ns
        )
        return "" if starting else self._not("following")

    def _not(self, wanted: str) -> str:
        why = f": {self.cause}" if self.cause else ""
        return f"{NAME} is not {wanted} but {self.mode.name.lower()}{why}"
