"""Cores that never sleep.

The host of a virtual machine gives a core that is idle to others, and it may come back tens of
milliseconds after the timer that was to wake it. A process on each core that computes for nothing,
below all others (SCHED_IDLE, in a session of the lowest share), keeps it, as `idle=poll` does.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType


class Awake:
    """Keeps all cores awake; a context manager."""

    def __init__(self) -> None:
        self._spinning: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Awake:
        """Begin."""
        for core in sorted(os.sched_getaffinity(0)):
            words = [sys.executable, str(Path(__file__)), str(core)]
            self._spinning.append(subprocess.Popen(words, start_new_session=True))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """End."""
        for process in self._spinning:
            process.kill()
            process.wait()
        self._spinning.clear()


def spin(core: int) -> None:
    """Compute for nothing on a core, as long as the process that asked for it lives."""
    parent = os.getppid()
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError):  # Linux shares time between sessions first
        Path("/proc/self/autogroup").write_text("19", encoding="ascii")
    while os.getppid() == parent:
        for _ in range(100_000):
            pass


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        spin(int(sys.argv[1]))
