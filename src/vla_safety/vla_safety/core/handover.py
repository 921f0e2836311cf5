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
    """Remembers the last paths, and the one that the arm follows, however many came after it.

    A path can be lost, or come so late that the publisher cannot join it any more. The arm is then
    still on an earlier one, verified to its end like every other, or where it was enabled, and from
    that the motion goes on.
    """

    def __init__(self) -> None:
        self._sent: deque[tuple[int, Path]] = deque(maxlen=KEPT)
        self._base = 0
        self._followed: dict[int, Path] = {}  # the one that was last told, where the arm is

    def begin(self, start: Path | None) -> None:
        """Note where the arm stands at an enable; the paths of before are not followed any more."""
        self._sent.clear()
        self._base, self._followed = 0, {} if start is None else {0: start}

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
        known = self._path(followed)
        if known is None:
            return None
        self._followed = {followed: known}
        newest, path = self._sent[-1]
        under_way = heard < newest and (patient or now_ns <= path.start_ns + GRACE_NS)
        if followed == self._base or (followed < self._base == newest and under_way):
            return None
        self._base = followed
        return known

    def _path(self, seq: int) -> Path | None:
        for number, path in reversed(self._sent):
            if number == seq:
                return path
        return self._followed.get(seq)
