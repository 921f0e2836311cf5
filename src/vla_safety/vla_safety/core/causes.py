"""Why the gate holds or is latched, and when each reason was last there."""

from __future__ import annotations

from vla_safety.core.reasons import Counts, Reason


class Causes:
    """Holds end when their causes have been away for ``recover_ns``; a latch ends with a reset.

    Each cause is counted when it comes, not while it lasts.
    """

    def __init__(self, counts: Counts, recover_ns: int) -> None:
        self.holding: dict[Reason, int] = {}
        self.latched: dict[Reason, int] = {}
        self._counts = counts
        self._recover_ns = recover_ns

    def hold(self, reason: Reason, now_ns: int, count: bool = True) -> None:
        """Note that a cause of a hold is there now."""
        self._note(self.holding, reason, now_ns, count)

    def latch(self, reason: Reason, now_ns: int, count: bool = True) -> None:
        """Note that a cause of a latch is there now."""
        self._note(self.latched, reason, now_ns, count)

    def _note(self, where: dict[Reason, int], reason: Reason, now_ns: int, count: bool) -> None:
        if count and reason not in where:
            self._counts.add(reason, now_ns)
        where[reason] = now_ns

    def settle(self, now_ns: int) -> bool:
        """Forget the holds that are over; return whether none is left."""
        for reason, last_ns in list(self.holding.items()):
            if now_ns - last_ns > self._recover_ns:
                del self.holding[reason]
        return not self.holding

    def enabled(self) -> None:
        """Begin without holds."""
        self.holding.clear()

    def reset(self) -> None:
        """Forget everything."""
        self.latched.clear()
        self.holding.clear()
