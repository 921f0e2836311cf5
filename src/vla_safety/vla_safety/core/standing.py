"""Where the arm stands while no plan passes, and what the publisher is told of it."""

from __future__ import annotations

from vla_safety.core.anchoring import Anchoring
from vla_safety.core.announcer import Announcer
from vla_safety.core.causes import Causes
from vla_safety.core.motion import Motion
from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import ENABLED, MOVING, Machine, State


class Standing:
    """Says where motion is to begin until the publisher has heard it, and repeats a hold.

    ``dry_run``: the arm stands, or somebody else moves it.
    """

    def __init__(
        self,
        machine: Machine,
        causes: Causes,
        motion: Motion,
        anchoring: Anchoring,
        announcer: Announcer,
        lease_ns: int,
        dry_run: bool,
    ) -> None:
        self.begin_seq = 0  # of the path that said where motion is to begin
        self._machine = machine
        self._causes = causes
        self._motion = motion
        self._anchoring = anchoring
        self._announcer = announcer
        self._lease_ns = lease_ns
        self._dry_run = dry_run
        self._leased_ns = 0  # when the last lease was given

    def before_enable(self, now_ns: int) -> None:
        """Tell the publisher where an enable will begin; it is refused until that was heard."""
        if self._anchoring.before_enable(now_ns):
            self._say_where_it_begins(now_ns)

    def in_a_hold(self, now_ns: int) -> None:
        """Stand where the arm does, and say so before the hold can end."""
        moved = False
        if self._anchoring.left:
            moved = self._anchoring.stand_with(now_ns)
        elif self._dry_run or Reason.LAGGING in self._causes.holding:
            moved = self._anchoring.catch_up(now_ns, moved_by_others=self._dry_run)
        if moved:
            self._say(now_ns)

    def again_after_a_gap(self, now_ns: int) -> None:
        """Tell it again after a silence as long as a lease: the publisher has forgotten it.

        A path that is still to be sent tells it as well. It may be a stop: all of it is needed.
        """
        silent = 0 < self._leased_ns <= now_ns - self._lease_ns
        state = self._machine.state
        if not silent or state in ENABLED or state is State.STOPPING:
            return
        if self._announcer.waits:
            self.begin_seq = self._announcer.seq
        elif self._motion.path is not None:
            self._say_where_it_begins(now_ns)

    def lease(self, now_ns: int) -> None:
        """Note that a lease is given now."""
        self.again_after_a_gap(now_ns)
        self._leased_ns = now_ns

    def repeat(self, now_ns: int) -> None:
        """While no plan passes, say at the usual rate that the arm stands still."""
        if self._machine.state in MOVING or self._motion.path is None:
            return
        if self._announcer.hold_is_due(now_ns):
            path = self._motion.rest_of_path(now_ns)
            self._announcer.hold(path, self._machine.state, now_ns)

    def _say_where_it_begins(self, now_ns: int) -> None:
        self._say(now_ns)
        self.begin_seq = self._announcer.seq

    def _say(self, now_ns: int) -> None:
        path = self._motion.rest_of_path(now_ns)
        self._announcer.path(path, None, self._machine.state, now_ns)
