"""When a process that ended is started again, and when the graph gives up."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

WINDOW_NS = 600 * 1_000_000_000
"""Restarts are counted over this time [ns]."""
LIMIT = 3
"""Restarts of one process within the window; one more ends the graph."""
BACKOFF_NS = 500_000_000
"""Wait before the first restart [ns]; doubles with each one in the window."""
STARTUP_NS = 10 * 1_000_000_000
"""A process that fails this early [ns] has a wrong set-up, which a restart does not mend."""


class Verdict(Enum):
    """What is done about a process that ended."""

    RESTART = "restart"
    GIVE_UP = "give up"


@dataclass(frozen=True)
class Decision:
    """``at_ns``: when to start again [ns]; ``why``: for the log."""

    verdict: Verdict
    why: str
    at_ns: int = 0


def describe_exit(code: int) -> str:
    """Say how a process ended, from its return code as subprocess gives it."""
    if code >= 0:
        return f"exit code {code}"
    names = {-6: "SIGABRT", -9: "SIGKILL", -11: "SIGSEGV", -15: "SIGTERM", -2: "SIGINT"}
    return f"signal {names.get(code, -code)}"


class RestartPolicy:
    """Restarts of one process."""

    def __init__(self, respawn: bool) -> None:
        self._respawn = respawn
        self._restarts: deque[int] = deque()
        self._started_ns = 0
        self._has_worked = False
        self.total = 0

    def started(self, now_ns: int) -> None:
        """Note that the process was started."""
        self._started_ns = now_ns

    def ended(self, code: int, now_ns: int) -> Decision:
        """Return what to do about an end that nobody asked for."""
        how = describe_exit(code)
        if not self._respawn:
            return Decision(Verdict.GIVE_UP, f"{how}; this process is not restarted")
        if now_ns - self._started_ns >= STARTUP_NS:
            self._has_worked = True
        if not self._has_worked and code > 0:
            return Decision(Verdict.GIVE_UP, f"{how} while starting; a restart would not mend that")
        while self._restarts and now_ns - self._restarts[0] > WINDOW_NS:
            self._restarts.popleft()
        if len(self._restarts) >= LIMIT:
            return Decision(
                Verdict.GIVE_UP,
                f"{how}; restarted {LIMIT} times within {WINDOW_NS // 60_000_000_000} min",
            )
        wait_ns = BACKOFF_NS * 2 ** len(self._restarts)
        self._restarts.append(now_ns)
        self.total += 1
        return Decision(Verdict.RESTART, how, now_ns + wait_ns)
