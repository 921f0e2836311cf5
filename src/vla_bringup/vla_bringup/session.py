"""A running graph together with who watches it: what runner and evaluation share."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from ament_index_python.packages import PackageNotFoundError, get_package_prefix

from vla_bringup.core.lock import instance_lock
from vla_bringup.core.preflight import Plan
from vla_bringup.core.resources import ResourceMeter
from vla_bringup.graph_runner import GraphRunner, run_folder
from vla_common.core.errors import UserError

SAMPLE = 1.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def prefix_of(package: str) -> Path:
    """Return where a package is installed. Raises :class:`UserError` when it is not."""
    try:
        return Path(get_package_prefix(package))
    except PackageNotFoundError as error:
        raise UserError(
            f"package {package} is not installed here; build first: make build"
        ) from error


class StopRequest:
    """Set by Ctrl-C, SIGTERM or a closed terminal."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.signal: signal.Signals | None = None

    def install(self) -> None:
        """Take the signals over; for the main thread."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._take)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        self._event.set()

    def is_set(self) -> bool:
        """Return whether the user wants to stop."""
        return self._event.is_set()


class Session:
    """The lock, the observer and the processes of one run; a context manager.

    Leaving it stops the processes in order, whatever happened.
    """

    def __init__(self, plan: Plan, runs: Path, say: Callable[[str], None]) -> None:
        # Imported here: it brings ROS, and --help or a mistake in a file should not wait for it.
        from vla_bringup.observer import Observer

        self.plan = plan
        self.meter = ResourceMeter()
        self._say = say
        self._lock = instance_lock(dict(os.environ))
        self._lock.acquire()
        self._next_sample = 0.0
        self.start_ns = self.end_ns = time.monotonic_ns()
        self.graph = GraphRunner(
            plan.processes, prefix_of, run_folder(runs), dict(os.environ), announce=say
        )
        self.observer = Observer(plan.robot)

    def __enter__(self) -> Session:
        """Start the processes."""
        self.start_ns = time.monotonic_ns()
        try:
            self.graph.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the processes in order."""
        self.close()

    def poll(self) -> None:
        """Restart what ended and measure. Raises GraphFailed when a process ended for good."""
        self.graph.poll(time.monotonic_ns())
        if time.monotonic() >= self._next_sample:
            self._next_sample = time.monotonic() + SAMPLE
            self.meter.sample({**self.graph.pids(), "runner": os.getpid()})

    def close(self) -> None:
        """Stop everything, give the lock back."""
        self.end_ns = time.monotonic_ns()
        killed = self.graph.stop()
        if killed:
            self._say(f"had to be killed, did not end when asked: {', '.join(killed)}")
        self.observer.close()
        self._lock.release()
