"""Starts the processes of a graph, watches them and stops them in order."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vla_bringup.child import Child, command
from vla_bringup.core.graph import Process
from vla_bringup.core.supervision import RestartPolicy, Verdict

ESCALATION = ((signal.SIGINT, 5.0), (signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0))
"""Signal, and how long [s] it is given to work before the next one."""
POLL = 0.02
REST = 0.3
"""Pause [s] after the planner has ended, in which the arm runs out its stop tail."""


class GraphFailed(Exception):
    """A process ended for good; the message says which one, how, and the end of its log."""


@dataclass
class Member:
    """A process of the graph while it runs."""

    process: Process
    child: Child
    policy: RestartPolicy
    restart_at_ns: int | None = None


def run_folder(base: Path, keep: int = 20) -> Path:
    """Make and return a folder for the logs of one run; the oldest beyond ``keep`` go."""
    base.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    older = sorted(p for p in base.iterdir() if p.is_dir() and p.name[:8].isdigit())
    for folder in older[: max(0, len(older) - keep + 1)]:
        for file in folder.iterdir():
            if file.suffix == ".log":
                file.unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()
    for number in range(1000):
        folder = base / (f"{stamp}-{number}" if number else stamp)
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise OSError(f"{base}: cannot make a new folder")


class GraphRunner:
    """The graph as supervised child processes; all methods are for one thread."""

    def __init__(
        self,
        processes: Sequence[Process],
        prefix_of: Callable[[str], Path],
        logs: Path,
        environment: Mapping[str, str],
        announce: Callable[[str], None] = print,
    ) -> None:
        self.logs = logs
        self._announce = announce
        self.members = [
            Member(
                process,
                Child(
                    process.name,
                    command(process, prefix_of(process.package)),
                    logs / f"{process.name}.log",
                    {**environment, **process.environment},
                ),
                RestartPolicy(process.respawn),
            )
            for process in processes
        ]

    def start(self) -> None:
        """Start every process."""
        for member in self.members:
            member.policy.started(time.monotonic_ns())
            member.child.start()

    def pids(self) -> dict[str, int]:
        """Return the process ids of those that run."""
        return {m.process.name: m.child.pid for m in self.members if m.child.pid is not None}

    def restarts(self) -> dict[str, int]:
        """Return how often each process was restarted."""
        return {m.process.name: m.policy.total for m in self.members}

    def poll(self, now_ns: int) -> None:
        """Restart what ended. Raises :class:`GraphFailed` when that cannot mend it."""
        for member in self.members:
            if member.restart_at_ns is not None:
                self._restart(member, now_ns)
            elif member.child.code is not None:
                self._ended(member, member.child.code, now_ns)

    def _restart(self, member: Member, now_ns: int) -> None:
        assert member.restart_at_ns is not None
        if now_ns >= member.restart_at_ns:
            member.restart_at_ns = None
            member.policy.started(now_ns)
            member.child.start()

    def _ended(self, member: Member, code: int, now_ns: int) -> None:
        name = member.process.name
        decision = member.policy.ended(code, now_ns)
        if decision.verdict is Verdict.RESTART:
            wait = (decision.at_ns - now_ns) * 1e-9
            held = " (the arm holds until then)" if name != "system_monitor" else ""
            self._announce(
                f"{name} ended ({decision.why}); it is started again in {wait:.1f} s{held}"
            )
            member.restart_at_ns = decision.at_ns
            return
        tail = "\n".join(f"    {line}" for line in member.child.tail())
        raise GraphFailed(f"{name} ended: {decision.why}\n  {member.child.log}:\n{tail}")

    def stop(self) -> list[str]:
        """Stop every process, the last one started first; return those that had to be killed.

        Once the planner is gone the arm runs out its stop tail, before what moves it is stopped.
        """
        killed = []
        for member in reversed(self.members):
            running = member.child.pid is not None
            if not self._end(member.child):
                killed.append(member.process.name)
            if running and "vla_inference" in member.process.nodes:
                time.sleep(REST)
        return killed

    def _end(self, child: Child) -> bool:
        for number, patience in ESCALATION:
            child.send(number)
            deadline = time.monotonic() + patience
            while child.pid is not None and time.monotonic() < deadline:
                time.sleep(POLL)
            if child.pid is None:
                return number is not signal.SIGKILL
        return False
