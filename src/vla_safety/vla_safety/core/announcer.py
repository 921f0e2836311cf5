"""What is told downstream: paths, leases and reports, each when it is due."""

from __future__ import annotations

from dataclasses import replace

from vla_common.core.trace import Trace
from vla_safety.core.handover import Handover
from vla_safety.core.path import Path
from vla_safety.core.state_machine import Change, State
from vla_safety.core.values import Lease, Output, Plan, Report, SafeAction

REPORT_NS = 1_000_000_000


class Announcer:
    """Numbers the paths, and keeps the one to send until the next output."""

    def __init__(self, lease_ns: int, hold_period_ns: int) -> None:
        self.seq = 0
        self.last_plan: Plan | None = None
        self.handover = Handover()
        self._lease_ns = lease_ns
        self._hold_period_ns = hold_period_ns
        self._pending: SafeAction | None = None
        self._path: Path | None = None  # of what is pending
        self._told: Path | None = None  # the one that was sent last
        self._sent_ns = 0
        self._report_ns = 0
        self._reported: Report | None = None

    def path(self, path: Path, plan: Plan | None, state: State, now_ns: int) -> None:
        """Let a path be sent with the next output; ``plan`` is what it follows, None for a stop.

        Only a hold may command the arm to where it was measured: a stop sets nothing in motion.
        """
        self.seq += 1
        self._sent_ns = now_ns
        self.handover.sent(self.seq, path, of_plan=plan is not None)
        self._path = path
        shown = plan or self.last_plan
        self._pending = SafeAction(
            epoch=shown.epoch if shown else 0,
            seq=self.seq,
            step_ns=path.step_ns,
            tail_start=path.tail_start if plan else 0,
            start_ns=path.start_ns,
            positions=path.q,
            velocities=path.v,
            valid_until_ns=now_ns + self._lease_ns,
            state=state,
            stamp_ns=shown.stamp_ns if shown else 0,
            trace=plan.trace if plan else Trace(),
            measured=path.measured and state is State.HOLD,
        )

    @property
    def waits(self) -> bool:
        """Whether a path is still to be sent."""
        return self._pending is not None

    def hold_is_due(self, now_ns: int) -> bool:
        """Return whether it is time to say again that the arm stands still."""
        return not self.waits and now_ns - self._sent_ns >= self._hold_period_ns

    def hold(self, path: Path, state: State, now_ns: int) -> None:
        """Say that the arm stands still; on average at the rate of plans."""
        due_ns = self._sent_ns + self._hold_period_ns
        self.path(path, None, state, now_ns)
        if now_ns - due_ns < self._hold_period_ns:
            self._sent_ns = due_ns

    def drop(self) -> Path | None:
        """Forget what was to be sent; return what was sent before it, None if nothing is lost."""
        lost, self._pending = self._pending is not None, None
        return self._told if lost else None

    def output(
        self, report: Report, changes: tuple[Change, ...], lease: bool, now_ns: int
    ) -> Output:
        """Return what is to be published now; ``changes`` are those of the state not told yet."""
        action, self._pending = self._pending, None
        if action is not None:
            self._told = self._path
        given = Lease(self.seq, now_ns + self._lease_ns, report.state) if lease else None
        news = report if self._is_news(report, now_ns) or changes else None
        told = (*(_as_of(c, report) for c in changes[:-1]), report) if changes else ()
        return Output(action, given, news, told)

    def _is_news(self, report: Report, now_ns: int) -> bool:
        old = self._reported
        same = old is not None and (
            (old.state, old.cause, old.reset_blocked_by, old.enable_blocked_by, old.min_epoch,
             old.transitions)
            == (report.state, report.cause, report.reset_blocked_by, report.enable_blocked_by,
                report.min_epoch, report.transitions)
        )  # fmt: skip
        if same and now_ns - self._report_ns < REPORT_NS:
            return False
        self._reported, self._report_ns = report, now_ns
        return True


def _as_of(change: Change, report: Report) -> Report:
    """Return the report of a change that was followed by another before it could be told."""
    return replace(
        report,
        state=change.state,
        previous=change.previous,
        since_ns=change.at_ns,
        cause=change.cause,
        transitions=change.number,
    )
