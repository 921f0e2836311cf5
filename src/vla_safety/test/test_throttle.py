"""What the gate knows of lowered clocks, and whether plans come late then."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from safety_world import MS, World, count, make_robot

from vla_common.core.robot import from_parameters
from vla_common.core.trace import Trace
from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import State
from vla_safety.core.throttle import MAX_PLANS, ThrottleWatch

HOT = ["thermal, by hardware"]
NOW = 10_000 * MS
T = 50 * MS  # the period of plans


def trace(now, took):
    """Return the trace of a plan whose inference took so long."""
    return Trace(inference_start_ns=now - took, inference_ns=now)


@pytest.fixture
def watch():
    found = ThrottleWatch(make_robot(1))
    assert found.update(NOW, HOT, NOW)
    return found


def test_a_report_counts_for_three_seconds(watch):
    assert watch.reasons(NOW) == watch.reasons(NOW + 3000 * MS) == HOT[0]
    watch.accept(trace(NOW + 3000 * MS, 2 * T), NOW + 3000 * MS)
    assert watch.late(NOW + 3000 * MS)
    assert watch.reasons(NOW + 3000 * MS + 1) == watch.late(NOW + 3000 * MS + 1) == ""
    assert watch.update(NOW + 1, [], NOW + 1)
    assert watch.reasons(NOW + 1) == ""


def test_before_the_first_report_nothing_is_throttled():
    watch = ThrottleWatch(make_robot(1))
    watch.accept(trace(NOW, 2 * T), NOW)
    for now in (0, NOW):
        assert watch.reasons(now) == watch.late(now) == ""


def test_many_reasons_are_told_in_one_short_text(watch):
    assert watch.update(NOW + 1, ["a", "b"], NOW + 1)
    assert watch.reasons(NOW + 1) == "a; b"
    assert watch.update(NOW + 2, ["x" * 1000] * 100, NOW + 2)
    assert watch.reasons(NOW + 2) == "x" * 80
    assert watch.update(NOW + 3, [""], NOW + 3)
    assert watch.reasons(NOW + 3) == "unknown"


@pytest.mark.parametrize(
    ("sent_ns", "taken"),
    [
        (NOW - 1, False),
        (NOW, False),
        (NOW + 1, True),
        (NOW + 5000 * MS - 3000 * MS - 1, False),
        (NOW + 5000 * MS - 3000 * MS, True),
        (NOW + 5000 * MS + 20 * MS, True),
        (NOW + 5000 * MS + 20 * MS + 1, False),
    ],
)
def test_old_repeated_and_future_reports_are_not_taken(watch, sent_ns, taken):
    now = NOW + 1 if sent_ns <= NOW + 1 else NOW + 5000 * MS
    assert watch.update(sent_ns, [], now) is taken
    assert (watch.reasons(NOW + 1) == "") is taken


UNUSABLE = [
    (None, HOT), (1.5, HOT), (True, HOT), (float("nan"), HOT), ("now", HOT),
    (NOW + 1, None), (NOW + 1, "thermal"), (NOW + 1, [None]), (NOW + 1, [1.0]), (NOW + 1, 3),
]  # fmt: skip


@pytest.mark.parametrize(("sent_ns", "throttled"), UNUSABLE)
def test_what_is_not_usable_is_counted_and_changes_nothing(sent_ns, throttled):
    world = World(make_robot(1)).enabled()
    world.gate.on_system_health(sent_ns, throttled, world.now)
    world.tick()
    assert count(world, Reason.HEALTH_BAD) == 1
    assert world.gate.state is State.ACTIVE
    assert world.gate.last_error is None


def nearest_rank(values, share_percent):
    """Return the percentile: the smallest value that so many per cent do not exceed."""
    return sorted(values)[-(-share_percent * len(values) // 100) - 1]


@given(
    st.integers(1, 320), st.integers(0, 8), st.sampled_from([(T, 2 * T), (T - 1, T), (T, T + 1)])
)
@example(100, 1, (T, T + 1))
@example(100, 2, (T, T + 1))
def test_late_is_what_the_percentile_says(plans, late, times):
    took = ([times[1]] * late + [times[0]] * plans)[:plans]
    watch = ThrottleWatch(make_robot(1))
    watch.update(NOW, HOT, NOW)
    for i, value in enumerate(took):
        watch.accept(trace(NOW + i * MS, value), NOW + i * MS)
    end = NOW + len(took) * MS
    assert bool(watch.late(end)) == (nearest_rank(took, 99) > T)


def test_a_late_plan_is_forgotten_after_two_seconds(watch):
    watch.accept(trace(NOW, T + 1), NOW)
    assert watch.late(NOW) == watch.late(NOW + 2000 * MS) == f"{HOT[0]}; inference p99 above 50 ms"
    assert watch.late(NOW + 2000 * MS + 1) == ""


def test_the_period_is_that_of_the_robot_file():
    values = {**make_robot(1).parameters, "control": {"rate": 10.0}}
    watch = ThrottleWatch(from_parameters(values, "test"))
    watch.update(NOW, HOT, NOW)
    watch.accept(trace(NOW, 100 * MS), NOW)
    assert watch.late(NOW) == ""
    watch.accept(trace(NOW, 100 * MS + 1), NOW)
    assert watch.late(NOW).endswith("above 100 ms")


def test_a_plan_counts_up_to_the_ends_of_what_makes_sense(watch):
    """The earliest time there is, a computation of no time, and as far ahead as clocks differ."""
    watch.accept(Trace(inference_start_ns=1, inference_ns=NOW), NOW)
    assert watch.late(NOW)
    for _ in range(100):  # with these one of 101 is late, and that is no more than 1 %
        watch.accept(Trace(inference_start_ns=NOW, inference_ns=NOW), NOW)
    assert not watch.late(NOW)
    watch.accept(Trace(inference_start_ns=NOW - T, inference_ns=NOW + 20 * MS), NOW)
    assert watch.late(NOW)


@pytest.mark.parametrize(
    ("start_ns", "end_ns"),
    [
        (0, NOW),
        (NOW - 2 * T, 0),
        (NOW, NOW - 2 * T),
        (-(2**63), NOW),
        (NOW - 2 * T, NOW + 20 * MS + 1),
        (NOW - 2 * T, 2**63 - 1),
        (float("nan"), NOW),
        (NOW - 2 * T, float("inf")),
        (None, "x"),
        (True, NOW),
    ],
)
def test_a_plan_whose_times_make_no_sense_says_nothing(watch, start_ns, end_ns):
    watch.accept(Trace(inference_start_ns=start_ns, inference_ns=end_ns), NOW)
    assert watch.late(NOW) == ""


def test_memory_is_bounded_and_the_newest_plans_count(watch):
    watch.accept(trace(NOW, 2 * T), NOW)
    for _ in range(MAX_PLANS - 1):
        watch.accept(trace(NOW, 2 * T), NOW)
    for i in range(MAX_PLANS):
        assert watch.late(NOW)
        watch.accept(trace(NOW, T), NOW)
        if i >= MAX_PLANS - 1 - MAX_PLANS // 100:
            break
    assert watch.late(NOW) == ""
    assert len(watch._plans) == MAX_PLANS
