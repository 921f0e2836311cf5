"""What the gate remembers: streaks of bad plans, causes of holds, the pose, who follows.

Borders and beginnings, found missing by mutants.
"""

import numpy as np
import pytest
from safety_world import make_robot

from vla_safety.core.anchoring import SETTLES_NS, Anchoring
from vla_safety.core.causes import Causes
from vla_safety.core.limits import limits_of
from vla_safety.core.motion import LEAD_NS, Motion
from vla_safety.core.publisher_watch import CommandMode, PublisherWatch
from vla_safety.core.reasons import Counts, Reaction, Reason
from vla_safety.core.sources import EstopWatch, JointWatch
from vla_safety.core.state_machine import Event, Machine, State
from vla_safety.core.streaks import Streaks, Trust

START = 10**10


# --- streaks ---------------------------------------------------------------------------------
def streaks(**safety):
    return Streaks(make_robot(2, bad_shape_latch=3, **safety).safety)


def test_refusals_are_counted_until_a_plan_passes():
    found = streaks()
    assert found.refused == 0
    for count in (1, 2, 3):
        found.refuse(Reason.STALE, False)
        assert found.refused == count
    found.accept()
    assert found.refused == 0


def test_three_malformed_plans_in_a_row_latch():
    found = streaks()
    shape = [found.refuse(reason, False) for reason in (Reason.NAMES, Reason.ORDER, Reason.STEP)]
    assert shape == [Reaction.COUNT, Reaction.COUNT, Reaction.LATCH]


def test_another_fault_in_between_begins_the_streak_anew():
    found = streaks()
    order = (Reason.NAMES, Reason.NAMES, Reason.STALE, Reason.NAMES, Reason.NAMES, Reason.NAMES)
    answers = [found.refuse(reason, False) for reason in order]
    assert answers == [Reaction.COUNT] * 5 + [Reaction.LATCH]


def test_a_cause_that_latched_before_latches_at_once():
    assert streaks().refuse(Reason.NAMES, True) is Reaction.LATCH
    assert streaks().refuse(Reason.STALE, True) is Reaction.COUNT


def test_two_plans_in_a_row_that_are_not_finite_hold():
    found = streaks()
    order = (Reason.NON_FINITE, Reason.STALE, Reason.NON_FINITE, Reason.NON_FINITE)
    answers = [found.refuse(reason, False) for reason in order]
    assert answers == [Reaction.COUNT] * 3 + [Reaction.HOLD]
    found.held_over()
    assert found.refuse(Reason.NON_FINITE, False) is Reaction.COUNT
    assert found.refuse(Reason.NON_FINITE, False) is Reaction.HOLD


def test_confidence_on_the_threshold_is_enough():
    found = streaks(low_confidence=0.5, hold_confidence=0.2)
    assert not found.is_low(0.5)
    assert found.is_low(np.nextafter(0.5, 0.0))
    said = [found.weigh(0.2) for _ in range(9)]
    assert said == [Trust.UNDECIDED] * 4 + [Trust.LOW] * 5
    assert found.trusted is True
    said = [found.weigh(0.19) for _ in range(5)]
    assert said == [Trust.LOW] * 4 + [Trust.NONE]
    assert found.trusted is False


def test_one_plan_of_another_kind_begins_confidence_anew():
    found = streaks(low_confidence=0.5, hold_confidence=0.2)
    for values in ([0.1] * 4, [0.3], [0.1] * 4, [0.9]):
        for value in values:
            assert found.weigh(value) is not Trust.NONE
    said = [found.weigh(value) for value in [0.3] * 4 + [0.9] + [0.3] * 5]
    assert said == [Trust.UNDECIDED] * 9 + [Trust.LOW]
    said = [found.weigh(value) for value in [0.9] * 4 + [0.3] + [0.9] * 5]
    assert said == [Trust.UNDECIDED] * 9 + [Trust.SURE]


def test_slow_from_low_to_sure_and_not_after_a_new_beginning():
    found = streaks(low_confidence=0.5)
    for value, plans in ((0.4, 5), (0.9, 5), (0.4, 5)):
        before = found.slow
        for _ in range(plans):
            assert found.slow is before
            found.weigh(value)
        assert found.slow is not before
    found.begin()
    assert found.slow is False


# --- causes ----------------------------------------------------------------------------------
def test_a_cause_is_counted_once_while_it_lasts():
    counts = Counts()
    causes = Causes(counts, 100)
    for now in (10, 20, 30):
        causes.hold(Reason.STALE, now)
        causes.latch(Reason.ESTOP, now)
        causes.hold(Reason.JUMP, now, count=False)
    assert counts.total[Reason.STALE] == counts.total[Reason.ESTOP] == 1
    assert counts.last_ns[Reason.STALE] == 10
    assert counts.total[Reason.JUMP] == 0
    assert causes.latched == {Reason.ESTOP: 30}


def test_a_hold_is_over_when_its_cause_was_away_for_longer():
    causes = Causes(Counts(), 100)
    causes.hold(Reason.STALE, 10)
    causes.hold(Reason.JUMP, 20)
    assert not causes.settle(110)
    assert set(causes.holding) == {Reason.STALE, Reason.JUMP}
    assert not causes.settle(111)
    assert set(causes.holding) == {Reason.JUMP}
    assert causes.settle(121)


# --- anchoring -------------------------------------------------------------------------------
class Standing:
    """A motion at rest at ``at``, and an arm measured wherever it is said to be."""

    def __init__(self, at=(1.0, 1.0), **robot):
        made = make_robot(**{"joints": 2, "tracking_tolerance": 0.15, **robot})
        limits = limits_of(made)
        self.joints = JointWatch(limits, made.safety)
        self.motion = Motion(limits, made.safety, "test")
        self.anchoring = Anchoring(limits, self.joints, self.motion)
        self.at = np.array(at)
        self.motion.anchor(self.at, START - LEAD_NS)

    def measured(self, q, v=(0.0, 0.0), now=START):
        self.joints.update(["j0", "j1"], list(q), list(v), now)

    def moving(self):
        """Let the motion be under way."""
        before = self.motion.path
        self.motion.path = type(before)(
            before.start_ns, before.step_ns, np.vstack((before.q, before.q)),
            np.array([[0.1, 0.1], [0.0, 0.0]]), 1,
        )  # fmt: skip


@pytest.mark.parametrize(("span", "far"), [(4.0, 0.02), (0.04, 0.002)])
def test_how_far_is_off(span, far):
    found = Standing(at=(1.0, 1.0), q_min=1.0 - span / 2, q_max=1.0 + span / 2)
    for side in (1.0, -1.0):
        found.measured([1.0, 1.0 + side * (far - 1e-9)])
        assert not found.anchoring.off(START)
        found.measured([1.0, 1.0 + side * (far + 1e-9)])
        assert found.anchoring.off(START)


def test_while_the_publisher_has_nothing_to_say_a_gripper_that_was_moved_begins_there_as_well():
    found = Standing(grippers=(1,))

    def begins(gripper, now):
        found.measured([1.0, gripper], now=now)
        found.anchoring.before_enable(now)
        return found.motion.path.q[0].tolist()

    settled = START + SETTLES_NS
    assert begins(1.0, START) == begins(1.0, settled) == [1.0, 1.0]
    assert begins(1.01, settled + 1) == [1.0, 1.0]  # noise
    assert begins(1.1, settled + 1) == [1.0, 1.1]


@pytest.mark.parametrize("act", ["catch_up", "before_enable"])
def test_the_measured_pose_is_taken_at_a_standstill(act):
    found = Standing()
    found.anchoring.told([0.0, 0.0], START)  # far from here
    found.joints.lag_ticks = 5
    found.measured([1.01, 1.0])
    getattr(found.anchoring, act)(START)
    assert found.motion.path.q[0].tolist() == [1.0, 1.0]  # near enough
    found.measured([1.1, 1.0])
    getattr(found.anchoring, act)(START)
    assert found.motion.path.q[0].tolist() == [1.1, 1.0]
    assert found.joints.lag_ticks == (0 if act == "catch_up" else 5)


def test_where_the_publisher_has_nothing_to_say_the_measured_pose_is_taken_once_an_enable():
    """One that was started anew does not know which path the arm followed last."""
    found = Standing()

    def begins(q, v=0.0, now=START):
        found.measured(q, (v, 0.0), now)
        changed = found.anchoring.before_enable(now)
        return changed, found.motion.path.q[0].tolist()

    settled = START + SETTLES_NS
    assert begins([1.001, 1.0]) == (True, [1.001, 1.0])
    assert begins([1.002, 1.0], now=settled - 1) == (True, [1.002, 1.0])  # it may still creep
    assert begins([1.003, 1.0], now=settled) == (True, [1.003, 1.0])
    assert begins([1.004, 1.0], now=settled + 1) == (False, [1.003, 1.0])  # noise, and no news
    assert begins([1.03, 1.0], now=settled + 1) == (True, [1.03, 1.0])  # that is: it was moved
    assert begins([1.04, 1.0], now=settled + 2) == (True, [1.04, 1.0])  # and moves yet
    found.anchoring.begin()
    assert begins([1.031, 1.0]) == (True, [1.031, 1.0])
    found.anchoring.told([1.035, 1.0], START)
    assert begins([1.031, 1.0]) == (True, [1.035, 1.0])
    found.anchoring.told([], START)  # now it was started anew
    assert begins([1.031, 1.0], now=settled) == (True, [1.031, 1.0])
    assert begins([1.032, 1.0], now=settled + 1) == (True, [1.032, 1.0])  # not yet for so long
    found.anchoring.told([1.035, 1.0], START)
    found.anchoring.begin()
    assert begins([1.034, 1.0], 0.3) == (True, [1.034, 1.0])  # it does not stand yet
    assert begins([1.036, 1.0], now=settled) == (True, [1.036, 1.0])
    assert begins([1.037, 1.0], 0.3, settled + 1) == (True, [1.037, 1.0])  # nor now
    assert begins([1.038, 1.0], now=settled + 2) == (True, [1.038, 1.0])
    assert begins([1.039, 1.0], now=settled + 1 + SETTLES_NS) == (True, [1.039, 1.0])
    assert begins([1.04, 1.0], now=settled + 2 + SETTLES_NS) == (True, [1.04, 1.0])
    assert begins([1.041, 1.0], now=settled + 2 + SETTLES_NS) == (False, [1.04, 1.0])


@pytest.mark.parametrize("act", ["catch_up", "before_enable"])
def test_the_measured_pose_is_not_taken_while_a_path_is_under_way(act):
    found = Standing()
    found.moving()
    path = found.motion.path
    for q in ([1.0, 1.0], [1.1, 1.0]):
        found.measured(q)
        getattr(found.anchoring, act)(START)
        assert found.motion.path is path


def test_nor_while_the_arm_moves():
    found = Standing()
    path = found.motion.path
    found.measured([1.1, 1.0], v=[0.5, 0.0])
    found.anchoring.catch_up(START)
    assert found.motion.path is path


@pytest.mark.parametrize(
    ("told", "measured", "begins"),
    [
        ([1.0, 1.0], [0.97, 1.0], [1.0, 1.0]),  # it droops under its load
        ([1.04, 1.0], [1.019, 1.0], [1.04, 1.0]),  # stopped elsewhere by the publisher
        ([1.0, 1.0], [0.9, 1.0], [0.9, 1.0]),  # moved by hand
        ([1.0, 1.0], [0.95, 1.0], [0.95, 1.0]),  # a little: it stays so where it was near before
        ([], [0.985, 1.0], [0.985, 1.0]),  # it does not say
        ([], [0.97, 1.0], [0.97, 1.0]),
        ([1.0], [0.97, 1.0], [0.97, 1.0]),  # of another arm
    ],
)
def test_motion_begins_where_the_arm_is_commanded_to_be_unless_it_was_moved(told, measured, begins):
    found = Standing()
    found.anchoring.told(told, START)
    found.measured(measured)
    assert found.anchoring.before_enable(START) is (begins != [1.0, 1.0])
    assert not found.anchoring.before_enable(START + LEAD_NS)  # that was all there is to change
    assert found.motion.command(START + LEAD_NS)[0].tolist() == begins


@pytest.mark.parametrize(
    ("told", "measured", "begins"),
    [
        ([1.0, 1.0], [1.0, 1.5], [1.0, 1.0]),  # it holds something
        ([1.0, 1.0], [0.5, 1.5], [0.5, 1.0]),  # and was carried elsewhere
        ([1.0, 0.8], [1.0, 1.5], [1.0, 0.8]),  # stopped elsewhere by the publisher
        ([], [1.0, 1.5], [1.0, 1.5]),  # nobody knows its last command
        ([], [0.5, 1.5], [0.5, 1.5]),
    ],
)
def test_a_gripper_begins_at_its_last_command_and_does_not_say_that_the_arm_was_moved(
    told, measured, begins
):
    found = Standing(grippers=(1,))
    found.anchoring.told(told, START)
    found.measured(measured)
    assert found.anchoring.before_enable(START) is (begins != [1.0, 1.0])
    assert not found.anchoring.before_enable(START + LEAD_NS)
    assert found.motion.command(START + LEAD_NS)[0].tolist() == begins


def test_one_that_was_placed_by_measurement_is_placed_again_when_it_is_moved():
    found = Standing(grippers=(1,))
    for gripper in (1.5, 1.2):
        found.measured([1.0, gripper])
        assert found.anchoring.before_enable(START)
        assert found.motion.path.q[0].tolist() == [1.0, gripper]


@pytest.mark.parametrize(("others", "grip"), [(False, 1.0), (True, 1.5)])
def test_a_gripper_keeps_its_command_when_the_arm_fell_behind(others, grip):
    found = Standing(grippers=(1,))
    path = found.motion.path
    found.measured([1.0, 1.5])
    found.anchoring.catch_up(START)
    assert found.motion.path is path
    found.measured([1.1, 1.5])
    found.anchoring.catch_up(START, moved_by_others=others)
    assert found.motion.path.q[0].tolist() == [1.1, grip]


@pytest.mark.parametrize("act", ["catch_up", "before_enable"])
@pytest.mark.parametrize("turns", [-1, 0, 2])
def test_a_continuous_joint_keeps_its_turn(act, turns):
    endless = {"has_position_limits": False, "angle_wraparound": True}
    found = Standing(at=(6.8, 1.0), extra=endless)
    found.measured([6.9 + turns * 2.0 * np.pi, 1.0])
    getattr(found.anchoring, act)(START)
    assert found.motion.path.q[0].tolist() == pytest.approx([6.9, 1.0], abs=1e-12)


# --- the publisher, emergency stops, the machine ------------------------------------------------
def test_a_publisher_that_was_not_heard():
    watch = PublisherWatch(250)
    assert (watch.mode, watch.cause, watch.seq, watch.problems) == (CommandMode.WAITING, "", 0, ())
    assert watch.silent(0)
    assert watch.silent(10**18)
    assert watch.blocked_by(0, 0) == ["joint_command_publisher is not heard on /vla/command_state"]
    assert watch.fault(0, 0) == "joint_command_publisher is silent"


def test_a_publisher_is_silent_after_its_time_and_heard_at_time_zero():
    watch = PublisherWatch(250)
    watch.update(CommandMode.ARMED, "", 1, (), 0)
    assert not watch.silent(0)
    assert not watch.silent(250)
    assert watch.silent(251)


@pytest.mark.parametrize("mode", [-1, 4, 99, "1", None, 1.0])
def test_an_unknown_mode_counts_as_waiting(mode):
    watch = PublisherWatch(250)
    watch.update(mode, "fine", 1, (), 0)
    assert watch.mode is CommandMode.WAITING
    assert watch.cause == f"it told of an unknown mode, {mode!r}"


def test_what_is_no_number_and_no_list():
    watch = PublisherWatch(250)
    watch.update(CommandMode.ARMED, "", "7", "trouble", 0)
    assert watch.seq == 0
    assert watch.problems == ("trouble",)
    watch.update(CommandMode.ARMED, "", 1, (), 0)
    assert watch.blocked_by(1, 0) == []


def test_the_time_to_begin_to_follow():
    watch = PublisherWatch(250)
    watch.update(CommandMode.ARMED, "", 1, (), 1000)
    assert watch.fault(1000, 1250) == ""
    watch.update(CommandMode.ARMED, "", 1, (), 1251)
    assert watch.fault(1000, 1251) == "joint_command_publisher is not following but armed"
    watch.update(CommandMode.FOLLOWING, "", 1, (), 1252)
    assert watch.fault(1000, 1252) == ""
    watch.update(CommandMode.ARMED, "gave up", 1, (), 1253)
    assert watch.fault(1000, 1253) == "joint_command_publisher is not following but armed: gave up"
    followed = PublisherWatch(250)
    followed.update(CommandMode.FOLLOWING, "", 1, (), 1000)
    followed.update(CommandMode.ARMED, "", 1, (), 1001)
    assert followed.fault(1000, 1001)  # it followed since the enable, and does no more
    assert followed.fault(1001, 1001) == ""  # that was before the enable


def test_nobody_speaks_in_the_name_of_the_own_source():
    estop = EstopWatch(make_robot(2).safety)
    assert estop.tripped_by == ""
    estop.update("", True, 0)
    assert estop.pressed() != []
    estop = EstopWatch(make_robot(2).safety)
    estop.expect("gpio", 0)
    estop.update("gpio", True, 0)
    assert estop.pressed() == ["gpio (topic)"]
    assert estop.unheard() == ["gpio"]


def test_a_machine_knows_where_it_came_from():
    machine = Machine()
    assert machine.previous is State.INACTIVE
    for i in range(300):
        machine.raise_event(Event.ENABLE, 2 * i)
        machine.raise_event(Event.DEACTIVATE, 2 * i + 1)
    changes = machine.take_changes()
    assert len(changes) == 256  # no more are kept than that
    assert changes[-1].number == machine.transitions == 600
    assert machine.take_changes() == ()
