"""ROS time and CLOCK_MONOTONIC: the offset between them, and jumps of it."""

from __future__ import annotations

from collections.abc import Callable

JUMP_NS = 50_000_000
TOGETHER_NS = 30_000  # two readings no further apart than this need not be repeated


def read_both(ros: Callable[[], int], monotonic: Callable[[], int]) -> tuple[int, int]:
    """Return simultaneous readings [ns] of both clocks.

    A reading that was interrupted is repeated; of three tries the one that took least counts.
    """
    best: tuple[int, int, int] | None = None
    for _ in range(3):
        before = monotonic()
        ros_ns = ros()
        after = monotonic()
        if best is None or after - before < best[0]:
            best = (after - before, ros_ns, (before + after) // 2)
        if best[0] <= TOGETHER_NS:
            break
    assert best is not None
    return best[1], best[2]


class ClockOffset:
    """Tracks ROS time minus monotonic time; a change beyond ``jump_ns`` is a jump.

    Slow drift (NTP slewing) is followed; a jump is counted and the new offset taken over, so
    that one step of the clock is one jump.
    """

    def __init__(self, jump_ns: int = JUMP_NS) -> None:
        self.jump_ns = jump_ns
        self.jumps = 0
        self.offset_ns: int | None = None
        self.last_jump_ns = 0

    def update(self, ros_ns: int, mono_ns: int) -> bool:
        """Take simultaneous readings of both clocks; return whether a jump was seen."""
        offset = ros_ns - mono_ns
        previous, self.offset_ns = self.offset_ns, offset
        if previous is None or abs(offset - previous) <= self.jump_ns:
            return False
        self.jumps += 1
        self.last_jump_ns = offset - previous
        return True

    def to_monotonic(self, ros_ns: int) -> int:
        """Return the monotonic time of a ROS stamp. Raises ValueError before the first update."""
        if self.offset_ns is None:
            raise ValueError("the clock offset is not known yet: call update first")
        return ros_ns - self.offset_ns
