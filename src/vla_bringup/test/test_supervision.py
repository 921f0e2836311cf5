"""Restarts: at most three in ten minutes, with growing pauses, never for a wrong set-up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vla_bringup.core.supervision import (
    BACKOFF_NS,
    LIMIT,
    STARTUP_NS,
    WINDOW_NS,
    RestartPolicy,
    Verdict,
    describe_exit,
)

SECOND = 1_000_000_000


def test_a_crash_is_mended_with_growing_pauses() -> None:
    policy = RestartPolicy(respawn=True)
    now, waits = 0, []
    for _ in range(LIMIT):
        policy.started(now)
        now += 20 * SECOND
        decision = policy.ended(-9, now)
        assert decision.verdict is Verdict.RESTART
        assert decision.why == "signal SIGKILL"
        waits.append(decision.at_ns - now)
    assert waits == [BACKOFF_NS, 2 * BACKOFF_NS, 4 * BACKOFF_NS]
    policy.started(now)
    assert policy.ended(-9, now + 20 * SECOND).verdict is Verdict.GIVE_UP


def test_old_restarts_are_forgotten() -> None:
    policy = RestartPolicy(respawn=True)
    now = 0
    for _ in range(10 * LIMIT):
        policy.started(now)
        now += WINDOW_NS + SECOND
        assert policy.ended(-11, now).verdict is Verdict.RESTART
    assert policy.total == 10 * LIMIT


def test_a_process_that_fails_while_starting_is_not_restarted() -> None:
    policy = RestartPolicy(respawn=True)
    policy.started(0)
    decision = policy.ended(1, STARTUP_NS - 1)
    assert decision.verdict is Verdict.GIVE_UP
    assert "while starting" in decision.why


def test_a_process_killed_while_starting_is_restarted() -> None:
    policy = RestartPolicy(respawn=True)
    policy.started(0)
    assert policy.ended(-9, SECOND).verdict is Verdict.RESTART


def test_a_process_that_has_worked_is_restarted_after_an_error() -> None:
    policy = RestartPolicy(respawn=True)
    policy.started(0)
    assert policy.ended(1, STARTUP_NS).verdict is Verdict.RESTART
    policy.started(STARTUP_NS + SECOND)
    assert policy.ended(1, STARTUP_NS + 2 * SECOND).verdict is Verdict.RESTART


def test_a_process_that_must_not_be_restarted_ends_the_graph() -> None:
    policy = RestartPolicy(respawn=False)
    policy.started(0)
    assert policy.ended(0, 100 * SECOND).verdict is Verdict.GIVE_UP


@given(st.lists(st.tuples(st.integers(0, 200), st.sampled_from([-9, -11, 0, 1])), max_size=40))
def test_never_more_than_the_limit_within_the_window(lives: list[tuple[int, int]]) -> None:
    policy = RestartPolicy(respawn=True)
    now, restarts = 0, []
    for seconds, code in lives:
        policy.started(now)
        now += seconds * SECOND
        if policy.ended(code, now).verdict is Verdict.GIVE_UP:
            break
        restarts.append(now)
    for at in restarts:
        assert sum(at - WINDOW_NS < other <= at for other in restarts) <= LIMIT


def test_exit_codes_are_told_in_words() -> None:
    assert describe_exit(3) == "exit code 3"
    assert describe_exit(-11) == "signal SIGSEGV"
    assert describe_exit(-7) == "signal 7"
