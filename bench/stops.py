"""When the gate stopped, and whether the machine itself had stood still before.

Nothing can tell a machine that stands still from one that is broken while it does: joint states
are late, a lease ends, and the gate is right to stop. A stop that no such pause explains is a false
one where nothing else is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stalls import Stalls

NORMAL = "ACTIVE"
BEFORE_NS = 200_000_000
"""The time before a stop in which a machine that stood still may have caused it."""
PAUSE = 0.040
"""[s] A shorter pause is no excuse: a lease of 50 ms is renewed every 10 ms, and joint states may
be 50 ms old behind a pause, where they come every 10 ms."""


@dataclass(frozen=True)
class Stop:
    """From one change of the gate's state away from ACTIVE to the next change back to it.

    ``until_ns`` is None where it did not end. ``stood_still`` and ``longest`` are in seconds, of
    the time just before: in all, and at a time.
    """

    at_ns: int
    until_ns: int | None
    state: str
    cause: str
    stood_still: float
    longest: float

    @property
    def excused(self) -> bool:
        """Whether the machine stood still for so long that stopping was right."""
        return self.stood_still >= PAUSE

    def __str__(self) -> str:
        still, most = 1e3 * self.stood_still, 1e3 * self.longest
        return (
            f"{self.state} ({self.cause}): in the {BEFORE_NS // 10**6} ms before, the machine "
            f"stood still for {still:.1f} ms, at most {most:.1f} ms at a time: "
            f"{'right' if self.excused else 'FALSE'}"
        )


def stops(changes: Sequence[tuple[int, str, str]], stalls: Stalls) -> list[Stop]:
    """Return the stops among the changes of state: time [ns], state, cause; ACTIVE before them."""
    found: list[Stop] = []
    for at_ns, state, cause in changes:
        open_stop = found[-1] if found and found[-1].until_ns is None else None
        if state == NORMAL and open_stop is not None:
            found[-1] = Stop(**{**vars(open_stop), "until_ns": at_ns})
        elif state != NORMAL and open_stop is None:
            span = at_ns - BEFORE_NS, at_ns
            found.append(
                Stop(at_ns, None, state, cause, stalls.in_all(*span), stalls.during(*span))
            )
    return found


def longest_without(found: Sequence[Stop], begin_ns: int, end_ns: int) -> int:
    """Return the longest time without a stop [ns] between two times."""
    longest, free_since = 0, begin_ns
    for stop in found:
        longest = max(longest, stop.at_ns - free_since)
        free_since = end_ns if stop.until_ns is None else stop.until_ns
    return max(longest, end_ns - free_since)
