"""A log of what the controller wanted and what the arm did, one row a control cycle."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
COLUMNS = ("desired_q", "desired_dq", "measured_q", "measured_dq")


def header(joints: Sequence[str]) -> str:
    """Return the first line: monotonic time [ns], then each of ``COLUMNS`` for each joint."""
    return ",".join(["time_ns", *(f"{column}_{joint}" for column in COLUMNS for joint in joints)])


class MotionLog:
    """A CSV file, written by a thread of its own: the control cycle never waits for a disk."""

    def __init__(self, path: Path, joints: Sequence[str]) -> None:
        """Create ``path`` and its folder. Raises OSError when that is not possible."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8")
        self._file.write(header(joints) + "\n")
        self._queue: queue.SimpleQueue[tuple[int, tuple[Array, ...]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="motion_log", daemon=True)
        self._thread.start()

    def add(self, now_ns: int, *columns: Array) -> None:
        """Append a row; ``columns`` are those of ``COLUMNS``, (joints,) each."""
        self._queue.put((now_ns, columns))

    def close(self) -> None:
        """Write what is queued and close the file."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        with self._file:
            while (item := self._queue.get()) is not None:
                values = np.concatenate(item[1])
                self._file.write(f"{item[0]}," + ",".join(f"{v:.9g}" for v in values) + "\n")
