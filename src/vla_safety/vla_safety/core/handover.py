"""Which of the paths that were sent the publisher really follows."""

from __future__ import annotations

from collections import deque
from typing import Any

from vla_safety.core.path import Path

KEPT = 8
GRACE_NS = 30_000_000
"""A path that is not followed by so long after its beginning was lost on the way: the publisher
tells 50 times a second what it follows."""
UNFOLLOWED = 10
UNFOLLOWED_NS = 3_000_000_000
"""So many paths of plans in so long, and none of them followed: the publisher refuses them all.
Where each is late by up to 25 ms, eight in a row were seen that could not be joined from rest."""


class Handover:
    """Remembers the last paths, and the one that the arm follows, however many came after it.

    A path can be lost, or come so late that the publisher cannot join it any more. The arm is then
    still on an earlier one, verified to its end like every other, or where it was enabled, and from
    that the motion goes on.
    """

    def __init__(self) -> None:
        self._sent: deque[tuple[int, Path]] = deque(maxlen=KEPT)
        self._plans: deque[int] = deque(maxlen=KEPT)  # those of them that follow plans
        self._lost_ns = 0  # when the first one was lost
        self.begin(None)

    def begin(self, start: Path | None) -> None:
        """Note where the arm stands at an enable; the paths of before are not followed any more."""
        self._sent.clear()
        self._plans.clear()
        self._base = 0
        # the one that was last told, where the arm is
        self._followed: dict[int, Path] = {} if start is None else {0: start}
        self._lost = 0  # paths that follow plans, since one of them was followed

    def sent(self, seq: int, path: Path, *, of_plan: bool) -> None:
        """Note a path; the motion goes on from it unless told otherwise.

        ``of_plan``: it follows a plan, and is no stop, nor where the arm stands.
        """
        self._sent.append((seq, path))
        if of_plan:
            self._plans.append(seq)
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
        if followed not in self._followed and followed in self._plans:
            self._lost = 0
        self._followed = {followed: known}
        newest, path = self._sent[-1]
        under_way = heard < newest and (patient or now_ns <= path.start_ns + GRACE_NS)
        if followed == self._base or (followed < self._base == newest and under_way):
            return None
        self._base = followed
        if newest in self._plans:
            self._lost += 1
            self._lost_ns = now_ns if self._lost == 1 else self._lost_ns
        return known

    def refused(self, now_ns: int) -> bool:
        """Return whether of the paths that followed plans lately the arm follows none."""
        return self._lost >= UNFOLLOWED and now_ns - self._lost_ns >= UNFOLLOWED_NS

    def _path(self, seq: int) -> Path | None:
        for number, path in reversed(self._sent):
            if number == seq:
                return path
        return self._followed.get(seq)
