"""When the machine itself stood still, as a virtual one does while its host runs others.

One process on each core that sleeps 2 ms again and again, before everything else of the machine
(SCHED_FIFO, a priority above all of the product's): when even that is late, no process ran there.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

LATE_NS = 5_000_000
"""Beyond this a core stood still; what is measured here keeps its bounds by more than that."""
PRIORITY = 60


def union_ns(times: Iterable[tuple[int, int]], begin_ns: int, end_ns: int) -> int:
    """Return how much of the time from ``begin_ns`` to ``end_ns`` one of ``times`` covers."""
    total, until = 0, begin_ns
    for begin, end in sorted(times):
        total += max(0, min(end, end_ns) - max(begin, until))
        until = max(until, min(end, end_ns))
    return total


class Stalls:
    """The times at which a core stood still; nothing is known where SCHED_FIFO is not permitted."""

    def __init__(self) -> None:
        self.times: list[tuple[int, int]] = []
        self._watching = [
            subprocess.Popen(
                [sys.executable, str(Path(__file__)), str(core)], stdout=subprocess.PIPE, text=True
            )
            for core in sorted(os.sched_getaffinity(0))
        ]
        for process in self._watching:
            threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            begin, end = map(int, line.split())
            self.times.append((begin, end))

    def during(self, begin_ns: int, end_ns: int) -> float:
        """Return for how many seconds a core stood still between two times, at most; 0: none."""
        found = [end - begin for begin, end in self.times if begin < end_ns and end > begin_ns]
        return 1e-9 * max(found, default=0)

    def in_all(self, begin_ns: int, end_ns: int) -> float:
        """Return for how many seconds between two times some core stood still."""
        return 1e-9 * union_ns(self.times, begin_ns, end_ns)

    def close(self) -> None:
        """Watch no longer."""
        for process in self._watching:
            process.terminate()


def watch(core: int) -> None:
    """Print when this core stood still, for ever."""
    os.sched_setaffinity(0, {core})
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError:
        return  # it would only see that others run
    last_ns = time.monotonic_ns()
    while True:
        time.sleep(0.002)
        now_ns = time.monotonic_ns()
        if now_ns - last_ns > LATE_NS:
            print(last_ns, now_ns, flush=True)
        last_ns = now_ns


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        watch(int(sys.argv[1]))
