"""The deadline loop: rate, wake-up, errors. Real threads, short."""

import threading
import time
from itertools import pairwise

from vla_common.core.deadline import DeadlineLoop

PERIOD = 5_000_000


def wait_for(condition, timeout=5.0):
    end = time.monotonic() + timeout
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    assert condition()


def test_deadlines_are_absolute():
    deadlines = []
    loop = DeadlineLoop("t", PERIOD, lambda now, deadline: deadlines.append(deadline), print)
    loop.start()
    wait_for(lambda: len(deadlines) >= 20)
    loop.stop()
    steps = {b - a for a, b in pairwise(deadlines)}
    assert all(step % PERIOD == 0 and step > 0 for step in steps)
    assert not loop.alive


def test_late_work_skips_deadlines_and_counts_them():
    calls = []

    def work(now, deadline):
        calls.append(deadline)
        if len(calls) == 1:
            time.sleep(5.2 * PERIOD * 1e-9)

    loop = DeadlineLoop("t", PERIOD, work, print)
    loop.start()
    wait_for(lambda: len(calls) >= 3)
    loop.stop()
    assert loop.overruns >= 5
    assert calls[1] - calls[0] >= 6 * PERIOD


def test_wake_runs_between_deadlines():
    woken = threading.Event()
    loop = DeadlineLoop("t", 10_000_000_000, lambda now, deadline: deadline or woken.set(), print)
    loop.start()
    loop.wake()
    assert woken.wait(5.0)
    loop.stop()


def test_an_error_ends_the_loop_and_is_reported():
    errors = []

    def work(now, deadline):
        raise RuntimeError("broken")

    loop = DeadlineLoop("t", PERIOD, work, errors.append)
    loop.start()
    wait_for(lambda: errors and not loop.alive)
    assert str(errors[0]) == "broken"


def test_shift_moves_the_phase_once():
    deadlines = []

    def work(now, deadline):
        deadlines.append(deadline)
        if len(deadlines) == 2:
            loop.shift_ns = 1_000_000

    loop = DeadlineLoop("t", 50_000_000, work, print)
    loop.start()
    wait_for(lambda: len(deadlines) >= 4)
    loop.stop()
    steps = [b - a for a, b in pairwise(deadlines)]
    assert steps[:3] == [50_000_000, 51_000_000, 50_000_000]


def test_a_deadline_that_is_near_can_be_met_early_and_only_once():
    calls = []
    loop = DeadlineLoop("t", 100_000_000, lambda *times: calls.append(times), print)
    loop.start()
    assert not loop.pull_forward(1_000_000)
    wait_for(lambda: loop.pull_forward(60_000_000))
    wait_for(lambda: len(calls) >= 3)
    loop.stop()
    (first_now, first), (_, second), (_, third) = calls[:3]
    assert 20_000_000 < first - first_now <= 60_000_000
    assert (second - first, third - second) == (100_000_000, 100_000_000)


def test_an_alarm_runs_the_work_once_at_its_time_and_keeps_the_deadlines():
    calls = []

    def work(now, deadline):
        calls.append((now, deadline))
        if len(calls) == 2:
            loop.alarm_ns = deadline + PERIOD // 4

    loop = DeadlineLoop("t", PERIOD, work, print)
    loop.start()
    wait_for(lambda: len(calls) >= 6)
    loop.stop()
    early = [now for now, deadline in calls if deadline == 0]
    deadlines = [deadline for _, deadline in calls if deadline]
    assert len(early) == 1 and calls[2][1] == 0
    assert early[0] >= calls[1][1] + PERIOD // 4
    assert all((b - a) % PERIOD == 0 for a, b in pairwise(deadlines))


def test_an_alarm_in_the_past_is_answered_at_once_and_not_again():
    calls = []

    def work(now, deadline):
        calls.append(deadline)
        if len(calls) == 2:
            loop.alarm_ns = 1

    loop = DeadlineLoop("t", PERIOD, work, print)
    loop.start()
    wait_for(lambda: len(calls) >= 6)
    loop.stop()
    assert calls[2] == 0 and calls.count(0) == 1
