"""Whether the computer is throttled, and whether the plans still come in time then."""

from __future__ import annotations

from collections import deque
from typing import Any

from vla_common.core.robot import Robot
from vla_common.core.trace import Trace
from vla_safety.core.cameras import TEXT, strings

FRESH_NS = 3_000_000_000
"""A report of system_monitor counts for so long; it sends one a second."""
WINDOW_NS = 2_000_000_000
MAX_PLANS = 1024
"""Plans that are kept; 2 s of them at the highest ``control.rate``, and more."""


def _is_time(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class ThrottleWatch:
    """The newest report of system_monitor, and the inference times of the newest plans.

    A plan's inference time is that of its trace, from ``inference_start_ns`` to ``inference_ns``:
    how long the policy computed, without waiting for images. It is what vla_inference reports as
    its latency. A plan without these times says nothing.

    system_monitor only diagnoses: while it is silent nothing is known to be throttled.
    """

    def __init__(self, robot: Robot) -> None:
        self._period_ns = round(1e9 / robot.control.rate)
        self._future_ns = round(robot.safety.future_ms * 1e6)
        self._sent_ns = -1
        self._reasons = self._late = ""
        self._plans: deque[tuple[int, bool]] = deque()  # when accepted, whether late
        self._late_plans = 0

    def update(self, sent_ns: Any, throttled: Any, now_ns: int) -> bool:
        """Take a report, see vla_msgs/SystemHealth; return whether it was usable.

        One that is not leaves the one before it to grow old: a wrong type, a time of sending that
        does not rise, lies in the future, or is too old to count.
        """
        reasons = strings(throttled)
        if reasons is None or not _is_time(sent_ns):
            return False
        oldest_ns = max(self._sent_ns + 1, now_ns - FRESH_NS)
        if not oldest_ns <= sent_ns <= now_ns + self._future_ns:
            return False
        self._sent_ns = sent_ns
        self._reasons = self._late = ""
        if reasons:
            self._reasons = "; ".join(reasons)[:TEXT] or "unknown"
            self._late = f"{self._reasons}; inference p99 above {self._period_ns * 1e-6:g} ms"
        return True

    def accept(self, trace: Trace, now_ns: int) -> None:
        """Note an accepted plan by its trace."""
        start_ns, end_ns = trace.inference_start_ns, trace.inference_ns
        if not (_is_time(start_ns) and _is_time(end_ns)):
            return
        if not 0 < start_ns <= end_ns <= now_ns + self._future_ns:
            return
        late = end_ns - start_ns > self._period_ns
        self._plans.append((now_ns, late))
        self._late_plans += late
        self._forget(now_ns)

    def _forget(self, now_ns: int) -> None:
        plans = self._plans
        while plans and (len(plans) > MAX_PLANS or now_ns - plans[0][0] > WINDOW_NS):
            self._late_plans -= plans.popleft()[1]

    def reasons(self, now_ns: int) -> str:
        """Return why clocks are lowered now; empty when that is not known."""
        return self._reasons if now_ns - self._sent_ns <= FRESH_NS else ""

    def late(self, now_ns: int) -> str:
        """Return why the arm must hold: throttled, and inference p99 of 2 s above the period.

        By nearest rank: p99 is above a bound when more than n // 100 of n values are. Of less than
        100 plans it is the slowest. Empty: it need not hold.
        """
        if not self.reasons(now_ns):
            return ""
        self._forget(now_ns)
        return self._late if self._late_plans > len(self._plans) // 100 else ""
