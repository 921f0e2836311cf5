"""Which of the paths that were sent the publisher really follows."""

from __future__ import annotations

from collections import deque
from typing import Any

from vla_safety.core.path import Path

KEPT = 8
GRACE_NS = 30_000_000
"""A path that is not followed by so long after its beginning was lost on the way: the publisher
tells 50 times a second what it follows."""


class Handover:
    """Remembers the last paths.

    A path can be lost, or come so late that the publisher cannot join it any more. The arm is then
    still on an earlier one, verified to its end like every other, or where it was enabled, and from
    that the motion goes on.
    """

    def __init__(self) -> None:
        self._sent: deque[tuple[int, Path]] = deque(maxlen=KEPT)
        self._base = 0
        self._start: Path | None = None

    def begin(self, start: Path | None) -> None:
        """Note where the arm stands at an enable; the paths of before are not followed any more."""
        self._sent.clear()
        self._base, self._start = 0, start

    def sent(self, seq: int, path: Path) -> None:
        """Note a path; the motion goes on from it unless told otherwise."""
        self._sent.append((seq, path))
        self._base = seq

    def correction(
        self, followed: Any, heard: Any, now_ns: int, *, patient: bool = False
    ) -> Path | None:
        """Return the path to go on from instead, None where all is well or nothing is known.

        ``followed`` is the seq of the path that the publisher follows, 0 for none, ``heard`` that
        of the newest one that it heard. A path that is still on its way counts as followed.
        ``patient``: that it is until another one is heard, which is sent soon in any case.
        """
        if type(followed) is not int or type(heard) is not int or not self._sent:
            return None
        if followed == self._base:
            self._start = self._start if followed == 0 else None
            return None
        newest, path = self._sent[-1]
        under_way = heard < newest and (patient or now_ns <= path.start_ns + GRACE_NS)
        if followed < self._base == newest and under_way:
            return None
        for seq, path in self._sent:
            if seq == followed:
                self._base, self._start = seq, None
                return path
        if followed == 0 and self._start is not None:
            self._base = 0
            return self._start
        return None
