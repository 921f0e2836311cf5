"""A thread that works at absolute deadlines of CLOCK_MONOTONIC, or earlier when woken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from vla_common.core.priority import raise_priority
from vla_common.core.stats import Window


class DeadlineLoop:
    """Calls ``work(now_ns, deadline_ns)`` once per period, on absolute monotonic deadlines.

    Missed deadlines are skipped and counted, never made up for in a burst. :meth:`wake` makes
    ``work`` run at once in between (``deadline_ns`` is then 0), and so does ``alarm_ns``, a time
    that ``work`` sets for it, once; 0: none. An exception in ``work`` ends the
    loop after ``on_error`` was called with it: a control loop that failed does not continue.
    With a ``priority`` 1..99 the thread runs under SCHED_FIFO where that is permitted;
    ``refused`` says where it was not.
    """

    def __init__(
        self,
        name: str,
        period_ns: int,
        work: Callable[[int, int], None],
        on_error: Callable[[BaseException], None],
        priority: int = 0,
    ) -> None:
        if period_ns <= 0:
            raise ValueError(f"period_ns must be > 0, got {period_ns}")
        self.period_ns = period_ns
        self.period_ms = Window(2048)
        self.overruns = 0
        self.alarm_ns = 0
        self.shift_ns = 0  # added once to the next deadline: moves the phase of the loop
        self.refused = ""
        self._priority = priority
        self._work = work
        self._on_error = on_error
        self._condition = threading.Condition()
        self._woken = False
        self._pulled = False
        self._deadline_ns = 0
        self._running = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def alive(self) -> bool:
        """Whether the thread is running."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._running = True
        self._thread.start()

    def wake(self) -> None:
        """Run ``work`` now, without waiting for the deadline."""
        with self._condition:
            self._woken = True
            self._condition.notify()

    def pull_forward(self, window_ns: int) -> bool:
        """Meet the next deadline now if it is at most ``window_ns`` away; return whether it is."""
        with self._condition:
            near = self._deadline_ns - time.monotonic_ns() <= window_ns
            if near:
                self._pulled = True
                self._condition.notify()
            return near

    def stop(self, timeout: float = 2.0) -> None:
        """End the thread and wait for it up to ``timeout`` [s]."""
        with self._condition:
            self._running = False
            self._condition.notify()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    def _wait(self) -> bool:
        """Wait for the deadline or a wake-up; return whether the deadline is still to come."""
        with self._condition:
            while self._running and not self._woken and not self._pulled:
                now_ns, alarm_ns = time.monotonic_ns(), self.alarm_ns
                left_ns = self._deadline_ns - now_ns
                if left_ns <= 0:
                    break
                if 0 < alarm_ns < self._deadline_ns:
                    left_ns = alarm_ns - now_ns
                    if left_ns <= 0:
                        self._woken = True
                        break
                self._condition.wait(left_ns * 1e-9)
            self.alarm_ns = 0
            early = self._woken and not self._pulled
            self._woken = self._pulled = False
            return early and time.monotonic_ns() < self._deadline_ns

    def _run(self) -> None:
        if self._priority:
            self.refused = raise_priority(self._priority, threading.get_native_id())
        self._deadline_ns = time.monotonic_ns() + self.period_ns
        last_ns = 0
        try:
            while self._running:
                early = self._wait()
                if not self._running:
                    return
                now_ns = time.monotonic_ns()
                if early:
                    self._work(now_ns, 0)
                    continue
                if last_ns:
                    self.period_ms.add((now_ns - last_ns) * 1e-6)
                last_ns = now_ns
                deadline_ns = self._deadline_ns
                self._work(now_ns, deadline_ns)
                shift, self.shift_ns = self.shift_ns, 0
                deadline_ns += self.period_ns + shift
                late = (time.monotonic_ns() - deadline_ns) // self.period_ns + 1
                if late > 0:
                    self.overruns += int(late)
                    deadline_ns += int(late) * self.period_ns
                with self._condition:
                    self._deadline_ns = deadline_ns
                    self._pulled = False
        except BaseException as error:  # the loop ends here, whatever it was
            self._running = False
            self._on_error(error)
