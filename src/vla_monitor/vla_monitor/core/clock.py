"""ROS time against CLOCK_MONOTONIC: how far it went, and whether it stepped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vla_common.core.clock import ClockOffset
from vla_monitor.core.level import ERROR, OK, WARN, Level

SHOW_NS = 60_000_000_000  # a step is an ERROR for this long
WARN_MS = 1.0
ERROR_MS = 100.0
SYNCHRONISED = Path("run/systemd/timesync/synchronized")


@dataclass(frozen=True, slots=True)
class ClockReading:
    """Change of (ROS - monotonic) since the start or the last step [ms], and the steps."""

    offset_ms: float
    steps: int
    last_step_ms: float
    step_age_s: float  # infinite when there was none


def judge(reading: ClockReading) -> tuple[Level, str]:
    """Return level and message."""
    if reading.step_age_s * 1e9 < SHOW_NS:
        return ERROR, f"ROS time stepped by {reading.last_step_ms:.0f} ms"
    if abs(reading.offset_ms) >= ERROR_MS:
        return ERROR, f"ROS time went {reading.offset_ms:.0f} ms off"
    if abs(reading.offset_ms) >= WARN_MS:
        return WARN, f"ROS time went {reading.offset_ms:.1f} ms off"
    return OK, "no step"


def synchronised(root: Path = Path("/")) -> str:
    """Return "yes" when systemd-timesyncd says so; else unknown: other daemons do not tell."""
    return "yes" if (root / SYNCHRONISED).exists() else "unknown"


class ClockWatch:
    """Follows the offset."""

    def __init__(self) -> None:
        self._offset = ClockOffset()
        self._base_ns = 0
        self._step_ns: int | None = None

    def update(self, ros_ns: int, mono_ns: int) -> ClockReading:
        """Take simultaneous readings of both clocks."""
        first = self._offset.offset_ns is None
        stepped = self._offset.update(ros_ns, mono_ns)
        offset_ns = self._offset.offset_ns
        assert offset_ns is not None
        if first or stepped:
            self._base_ns = offset_ns
        if stepped:
            self._step_ns = mono_ns
        age = float("inf") if self._step_ns is None else (mono_ns - self._step_ns) * 1e-9
        return ClockReading(
            offset_ms=(offset_ns - self._base_ns) * 1e-6,
            steps=self._offset.jumps,
            last_step_ms=self._offset.last_jump_ns * 1e-6,
            step_age_s=age,
        )
