"""One child process: its command, its log file, its signals."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from vla_bringup.core.graph import Process
from vla_common.core.errors import UserError

# The kernel ends the child when the runner is gone, however it went. SIGKILL, since a runner that
# was killed can escalate no more; the arm still comes to rest: the last command that was sent
# ends at rest by itself.
GUARD = ("setpriv", "--pdeathsig", "SIGKILL", "--")
PLAIN_OUTPUT = {"PYTHONUNBUFFERED": "1", "RCUTILS_COLORIZED_OUTPUT": "0"}


def command(process: Process, prefix: Path) -> list[str]:
    """Return the command line; ``prefix`` is where the package is installed.

    Raises :class:`UserError` when the executable is not there.
    """
    executable = prefix / "lib" / process.package / process.executable
    if not executable.is_file():
        raise UserError(f"{executable}: not there; build the workspace first: make build")
    return [str(executable), *process.ros_arguments()]


class Child:
    """A process in a session of its own, so that Ctrl-C reaches the runner alone.

    It must be started from a thread that lives as long as the runner: the kernel ends the child
    with the *thread* that started it.
    """

    def __init__(
        self, name: str, words: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log = log
        self._words = [*(GUARD if shutil.which(GUARD[0]) else ()), *words]
        self._environment = {**environment, **PLAIN_OUTPUT}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self.code is None else None

    @property
    def code(self) -> int | None:
        """Return code once ended; negative: the signal that ended it."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start, or start again; the log is appended to."""
        with self.log.open("ab") as stream:
            self._process = subprocess.Popen(
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the child and to whatever it started."""
        if self._process is None or self._process.poll() is not None:
            return
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            pass

    def tail(self, lines: int = 15) -> list[str]:
        """Return the last lines of the log."""
        try:
            with self.log.open("rb") as stream:
                stream.seek(max(0, stream.seek(0, os.SEEK_END) - 16384))
                return stream.read().decode(errors="replace").splitlines()[-lines:]
        except OSError:
            return []
