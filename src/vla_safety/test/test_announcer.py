"""What is told downstream, and when."""

import dataclasses

import numpy as np
import pytest
from safety_world import World, make_robot

from vla_common.core.trace import Trace
from vla_safety.core.announcer import REPORT_NS, Announcer
from vla_safety.core.path import Path, rest
from vla_safety.core.state_machine import Change, State
from vla_safety.core.values import Plan

LEASE_NS, PERIOD_NS = 60, 50
TRACE = Trace(capture_ns=77)
PLAN = Plan(4, 9, 50_000_000, 0, np.zeros((2, 2)), 5, 123, 1.0, TRACE)
PATH = Path(1000, 10, np.ones((3, 2)), np.zeros((3, 2)), 2)


BASE = World(make_robot(2)).gate.report(0)


def report(state=State.ACTIVE, **changes):
    return dataclasses.replace(BASE, state=state, **changes)


@pytest.fixture
def announcer():
    return Announcer(LEASE_NS, PERIOD_NS)


def test_a_path_is_told_once_with_everything_about_its_plan(announcer):
    announcer.path(PATH, PLAN, State.ACTIVE, 500)
    action = announcer.output(report(), (), False, 500).action
    assert (action.epoch, action.seq, action.stamp_ns) == (4, 1, 123)
    assert (action.step_ns, action.start_ns, action.tail_start) == (10, 1000, 2)
    assert action.positions is PATH.q
    assert action.velocities is PATH.v
    assert action.valid_until_ns == 500 + LEASE_NS
    assert action.state is State.ACTIVE
    assert action.trace is TRACE
    assert announcer.output(report(), (), False, 501).action is None


def test_paths_are_numbered_one_by_one(announcer):
    assert announcer.output(report(), (), True, 0).lease.seq == 0
    for seq in (1, 2, 3):
        announcer.path(PATH, PLAN, State.ACTIVE, 0)
        output = announcer.output(report(), (), True, 0)
        assert (output.action.seq, output.lease.seq) == (seq, seq)


def test_a_stop_carries_the_epoch_of_the_last_plan_but_no_trace(announcer):
    announcer.last_plan = PLAN
    announcer.path(PATH, None, State.STOPPING, 0)
    action = announcer.output(report(), (), False, 0).action
    assert (action.epoch, action.stamp_ns, action.tail_start) == (4, 123, 0)
    assert action.trace == Trace()


def test_a_stop_before_any_plan(announcer):
    announcer.path(PATH, None, State.INACTIVE, 0)
    action = announcer.output(report(), (), False, 0).action
    assert (action.epoch, action.stamp_ns, action.tail_start) == (0, 0, 0)


def test_a_new_plan_is_told_by_its_own_epoch(announcer):
    announcer.last_plan = Plan(3, 9, 1, 0, PLAN.positions, 5, 1, 1.0, Trace())
    announcer.path(PATH, PLAN, State.ACTIVE, 0)
    assert announcer.output(report(), (), False, 0).action.epoch == 4


def test_a_lease_is_given_when_asked_for(announcer):
    assert announcer.output(report(), (), False, 7).lease is None
    lease = announcer.output(report(State.HOLD), (), True, 7).lease
    assert (lease.valid_until_ns, lease.state) == (7 + LEASE_NS, State.HOLD)


def test_what_was_dropped_is_not_told(announcer):
    announcer.path(PATH, PLAN, State.ACTIVE, 0)
    announcer.drop()
    assert announcer.output(report(), (), False, 0).action is None
    assert announcer.hold_is_due(PERIOD_NS)


def test_what_was_lost_goes_on_from_what_was_told_last(announcer):
    told, lost = (dataclasses.replace(PATH, start_ns=ns) for ns in (1000, 2000))
    announcer.path(told, PLAN, State.ACTIVE, 0)
    assert announcer.drop() is None  # nothing was told before it
    announcer.path(told, PLAN, State.ACTIVE, 0)
    announcer.output(report(), (), False, 0)
    assert announcer.drop() is None  # nothing is lost
    announcer.output(report(), (), True, 10)  # a lease alone
    announcer.path(lost, PLAN, State.ACTIVE, 20)
    assert announcer.drop() is told


def test_what_was_told_last_is_known_at_once(announcer):
    told, lost = (dataclasses.replace(PATH, start_ns=ns) for ns in (1000, 2000))
    announcer.path(told, PLAN, State.ACTIVE, 0)
    announcer.output(report(), (), False, 0)
    announcer.path(lost, PLAN, State.ACTIVE, 0)
    assert announcer.drop() is told


@pytest.mark.parametrize("measured", [False, True])
def test_a_place_is_told_with_the_state_and_whether_it_was_measured(announcer, measured):
    place = rest(np.zeros(2), 0, 10, measured)
    announcer.hold(place, State.HOLD, 0)
    action = announcer.output(report(), (), False, 0).action
    assert action.state is State.HOLD and action.measured is measured


@pytest.mark.parametrize("state", set(State) - {State.HOLD})
def test_only_a_hold_says_that_a_place_was_measured(announcer, state):
    announcer.path(rest(np.zeros(2), 0, 10, measured=True), None, state, 0)
    assert announcer.output(report(), (), False, 0).action.measured is False


def test_a_hold_is_due_after_a_period_and_not_before(announcer):
    announcer.path(PATH, PLAN, State.ACTIVE, 1000)
    assert not announcer.hold_is_due(1000 + PERIOD_NS)  # the path itself is still to be sent
    announcer.output(report(), (), False, 1000)
    assert not announcer.hold_is_due(1000 + PERIOD_NS - 1)
    assert announcer.hold_is_due(1000 + PERIOD_NS)


def test_holds_keep_their_rate_on_average(announcer):
    still = rest(np.zeros(2), 0, 10)
    announcer.path(still, None, State.HOLD, 0)
    announcer.output(report(), (), False, 0)
    times = []
    for now in range(0, 40 * PERIOD_NS, 20):
        if announcer.hold_is_due(now):
            announcer.hold(still, State.HOLD, now)
            announcer.output(report(), (), False, now)
            times.append(now)
    assert len(times) == 39
    assert max(np.diff(times)) <= PERIOD_NS + 20


def test_a_long_pause_is_not_made_up_for(announcer):
    still = rest(np.zeros(2), 0, 10)
    announcer.hold(still, State.HOLD, 10 * PERIOD_NS)
    announcer.output(report(), (), False, 10 * PERIOD_NS)
    assert not announcer.hold_is_due(10 * PERIOD_NS + PERIOD_NS - 1)
    announcer.hold(still, State.HOLD, 12 * PERIOD_NS)  # late by exactly one period
    announcer.output(report(), (), False, 12 * PERIOD_NS)
    assert not announcer.hold_is_due(13 * PERIOD_NS - 1)


NEWS = {"cause": "x", "reset_blocked_by": ("y",), "enable_blocked_by": ("z",), "min_epoch": 1,
        "transitions": 1}  # fmt: skip


@pytest.mark.parametrize("key", NEWS)
def test_news_is_reported_at_once(announcer, key):
    assert announcer.output(report(), (), False, 5).report
    assert announcer.output(report(), (), False, 6).report is None
    assert announcer.output(report(**{key: NEWS[key]}), (), False, 6).report
    assert announcer.output(report(State.HOLD, **{key: NEWS[key]}), (), False, 6).report


def test_no_news_is_reported_every_second(announcer):
    assert announcer.output(report(), (), False, 5).report
    assert announcer.output(report(), (), False, 4 + REPORT_NS).report is None
    assert announcer.output(report(counts=(1,)), (), False, 5 + REPORT_NS).report
    assert announcer.output(report(), (), False, 4 + 2 * REPORT_NS).report is None
    assert announcer.output(report(), (), False, 5 + 2 * REPORT_NS).report


def test_two_changes_at_once_are_told_each_with_its_own_cause_and_time(announcer):
    now = report(
        State.LATCHED, previous=State.STOPPING, since_ns=7, cause="at rest", transitions=3,
        min_epoch=5,
    )  # fmt: skip
    first = Change(2, State.ACTIVE, State.STOPPING, "estop_pressed", 6)
    last = Change(3, State.STOPPING, State.LATCHED, "at rest", 7)
    told = announcer.output(now, (first, last), False, 8).changes
    assert told[1] == now
    assert told[0] == dataclasses.replace(
        now, state=State.STOPPING, previous=State.ACTIVE, since_ns=6, cause="estop_pressed",
        transitions=2,
    )  # fmt: skip


@pytest.mark.parametrize("plan", [PLAN, None])
def test_only_paths_that_follow_plans_count_as_refused(announcer, plan):
    announcer.path(PATH, PLAN, State.ACTIVE, 0)
    for _ in range(20):
        announcer.path(PATH, plan, State.HOLD, 0)
        announcer.handover.correction(1, announcer.seq, 10**9)
    assert announcer.handover.refused(10**12) == (plan is not None)
