"""The motion that was promised: what is commanded when, and how one path follows another."""

import numpy as np
import pytest
from safety_world import make_robot

from vla_common.core.trace import Trace
from vla_safety.core.limits import limits_of
from vla_safety.core.motion import LEAD_NS, Motion
from vla_safety.core.values import Plan

MS = 1_000_000
STOP_LEAD = 5 * MS
START = 10_000 * MS


def motion_of(**robot):
    made = make_robot(**{"joints": 2, **robot})
    return Motion(limits_of(made), made.safety, "test", lead_ns=STOP_LEAD)


def plan(rows, now, step_ns=50 * MS):
    """Return a plan sent at ``now``: row 0 is due one step later."""
    return Plan(1, 1, step_ns, now + step_ns, np.array(rows, dtype=float), 1, 1, 1.0, Trace())


def follow(motion, target, now, scale=1.0):
    found = plan(np.broadcast_to(target, (8, 2)), now)
    curve, near = motion.reference(found, now)
    motion.follow(curve, now, scale)
    return near


@pytest.fixture
def moving():
    """A motion that has gone towards 0.3 rad for 200 ms."""
    motion = motion_of()
    motion.anchor(np.zeros(2), START - LEAD_NS)
    for i in range(4):
        follow(motion, [0.3, -0.1], START + i * 50 * MS)
    return motion, START + 150 * MS


def test_a_new_path_begins_at_the_next_grid_time_after_the_lead():
    motion = motion_of()
    motion.anchor(np.zeros(2), START - LEAD_NS)
    assert motion.path.start_ns == START
    for late, begins in ((0, 10), (1, 20), (10 * MS, 20)):
        follow(motion, [0.1, 0.0], START + late)
        assert motion.path.start_ns == START + begins * MS


def test_until_a_new_path_begins_the_one_before_holds(moving):
    motion, now = moving
    old = motion.path
    now += 50 * MS
    expected = [old.at(now + i * MS) for i in range(0, 11, 2)]
    follow(motion, [0.3, -0.1], now)
    assert motion.path.start_ns == now + LEAD_NS
    for i, (q, v) in zip(range(0, 11, 2), expected):
        found_q, found_v = motion.command(now + i * MS)
        assert found_q == pytest.approx(q, abs=1e-12)
        assert found_v == pytest.approx(v, abs=1e-12)
    assert motion.command(now)[0] != pytest.approx(motion.path.q[0], abs=1e-6)


def test_a_path_that_is_replaced_before_it_begins_was_never_commanded(moving):
    motion, now = moving
    now += 50 * MS
    old = motion.path
    expected = old.at(now + 5 * MS)[0]
    follow(motion, [0.3, -0.1], now)
    follow(motion, [-0.3, 0.1], now)
    assert motion.command(now + 5 * MS)[0] == pytest.approx(expected, abs=1e-12)


def test_a_stop_begins_at_once_where_the_path_is(moving):
    motion, now = moving
    now += 23 * MS
    old = motion.path
    assert not motion.at_rest(now)
    motion.stop(now)
    begins = old.grid(now + STOP_LEAD)
    assert motion.path.start_ns == begins
    assert begins - now == 7 * MS
    assert motion.path.q[0].tolist() == old.row(begins)[0].tolist()
    assert motion.path.v[0].tolist() == old.row(begins)[1].tolist()
    assert (np.diff(np.abs(motion.path.v), axis=0) <= 1e-12).all()
    assert motion.path.end_ns < old.end_ns
    assert not motion.at_rest(now)
    assert not motion.at_rest(motion.path.end_ns - 1)
    assert motion.at_rest(motion.path.end_ns)


def test_a_stop_at_rest_changes_nothing(moving):
    motion, _ = moving
    path = motion.path
    motion.stop(path.end_ns)
    assert motion.path is path
    empty = motion_of()
    empty.stop(START)
    assert empty.path is None
    assert empty.at_rest(START)


def test_what_is_left_of_a_path_begins_after_the_lead(moving):
    motion, now = moving
    now += 23 * MS
    left = motion.rest_of_path(now)
    begins = motion.path.grid(now + STOP_LEAD)
    assert left.start_ns == begins
    assert left.q[0].tolist() == motion.path.row(begins)[0].tolist()


def test_standing_after_an_anchor_is_rest_at_once():
    motion = motion_of()
    motion.anchor(np.array([9.0, -9.0]), START)
    edge = 2.0 + np.deg2rad(0.5)  # so far outside its limits an arm may stand
    assert motion.path.q.tolist() == [[edge, -edge]]
    assert motion.path.start_ns == START + LEAD_NS
    assert motion.at_rest(START)
    assert motion.command(START)[0].tolist() == [edge, -edge]


def test_an_anchor_in_motion_takes_the_place_of_everything(moving):
    motion, now = moving
    motion.anchor(np.zeros(2), now)
    assert motion.at_rest(now)
    assert motion.command(now)[0].tolist() == [0.0, 0.0]
    assert motion.command(now)[1].tolist() == [0.0, 0.0]


def test_before_an_anchor_there_is_nothing_to_command():
    motion = motion_of()
    found = plan(np.zeros((8, 2)), START)
    for call in (
        lambda: motion.command(START),
        lambda: motion.rest_of_path(START),
        lambda: motion.reference(found, START),
        lambda: motion.follow(None, START, 1.0),
    ):
        with pytest.raises(ValueError, match=r"^there is no path yet$"):
            call()


def test_how_near_a_plan_must_begin():
    motion = motion_of(grippers=(1,), jump_factor=2.0)
    allowed = 2.0 * 1.5 * 0.05
    motion.anchor(np.zeros(2), START)
    assert follow(motion, [allowed - 1e-9, 0.0], START)
    motion.anchor(np.zeros(2), START)
    assert not follow(motion, [allowed + 1e-9, 0.0], START)
    motion.anchor(np.zeros(2), START)
    assert follow(motion, [0.0, 1.9], START)  # a gripper may jump
    motion.anchor(np.zeros(2), START)
    far = plan(np.full((8, 2), [1.5 * allowed, 0.0]), START, step_ns=100 * MS)
    assert motion.reference(far, START)[1]  # in a longer step it may go further


def test_small_overshoots_are_clipped_and_not_counted():
    motion = motion_of()
    slack = 0.02 * 4.0
    motion.anchor(np.full(2, 1.99), START)
    for outside, counted in ((slack - 1e-9, False), (slack + 1e-9, True)):
        follow(motion, [2.0 + outside, 0.0], START)
        assert motion.clamped.tolist() == [counted, False]
        follow(motion, [0.0, -2.0 - outside], START)
        assert motion.clamped.tolist() == [False, counted]


def test_clamped_plans_are_counted_joint_by_joint():
    motion = motion_of()
    motion.anchor(np.zeros(2), START)
    for target in ([9.0, 0.0], [9.0, -9.0], [0.0, 9.0]):
        follow(motion, target, START)
    assert motion.clamps.tolist() == [2, 2] and motion.clamps.dtype.kind == "i"


def test_speed_is_scaled():
    fast, slow = motion_of(), motion_of()
    for motion, scale in ((fast, 1.0), (slow, 0.1)):
        motion.anchor(np.zeros(2), START)
        for i in range(8):
            follow(motion, [0.14 + 0.06 * i, 0.0], START + i * 50 * MS, scale)
    v_max = fast.planner.limits.v_max[0]
    assert np.abs(fast.path.v).max() > 0.5 * v_max
    assert np.abs(slow.path.v).max() <= 0.1 * v_max + 1e-12
    assert slow.scale < 1.0 or np.abs(slow.path.v).max() == pytest.approx(0.1 * v_max)


def test_turns_are_taken_off_continuous_joints():
    extra = {"angle_wraparound": True, "has_position_limits": False}
    motion = motion_of(extra=extra)
    motion.anchor(np.array([3.1, 0.0]), START)
    found = plan(np.full((8, 2), [-3.1 + 4 * np.pi, 0.0]), START)
    curve, near = motion.reference(found, START)
    assert near
    assert curve.position(START + 400 * MS)[0] == pytest.approx(-3.1 + 2 * np.pi)
    assert curve.position(START + 400 * MS)[1] == 0.0


def test_before_its_first_row_a_plan_goes_on_backwards():
    motion = motion_of()
    motion.anchor(np.zeros(2), START - LEAD_NS)
    rows = np.arange(8)[:, None] * [0.01, -0.02] + 0.05
    curve, _ = motion.reference(plan(rows, START), START)
    q, v = curve.sample(START, 25 * MS, 3)
    assert q[:, 0] == pytest.approx([0.04, 0.045, 0.05])
    assert v[:, 1] == pytest.approx([-0.4] * 3)


@pytest.mark.parametrize("rows", [1, 2])
def test_short_plans_are_followed_too(rows):
    """Of one row there is no slope to go on with; of two there is."""
    motion = motion_of()
    motion.anchor(np.zeros(2), START - LEAD_NS)
    targets = 0.02 * np.arange(1, rows + 1)[:, None] * [1.0, -1.0]
    curve, near = motion.reference(plan(targets, START), START)
    assert near
    before = curve.position(START)
    assert before == pytest.approx([0.02, -0.02] if rows == 1 else [0.0, 0.0], abs=1e-12)
    assert motion.follow(curve, START, 1.0) is None
    assert motion.path.q[-1][0] > 0.0 > motion.path.q[-1][1]


def test_an_error_is_made_good_without_haste_and_without_overshoot():
    motion = motion_of(follow_ms=100.0)
    motion.anchor(np.zeros(2), START - LEAD_NS)
    seen = []
    for i in range(20):
        now = START + i * 50 * MS
        follow(motion, [0.02, 0.0], now)
        assert not motion.planner.held.any() and motion.scale == 1.0
        seen += [motion.path.at(motion.path.start_ns + k * 10 * MS) for k in range(5)]
    q, v = (np.array([state[i][0] for state in seen]) for i in (0, 1))
    # critically damped: e = e0 (1 + w t) exp(-w t)
    t = np.arange(len(q)) * 0.01 / 0.1
    assert np.abs(q - 0.02 * (1.0 - (1.0 + t) * np.exp(-t))).max() < 1.5e-3
    assert q.max() <= 0.02 + 1e-5 and q[-1] == pytest.approx(0.02, abs=1e-4)
    assert np.abs(np.diff(v)).max() / 0.01 < 2.2  # w^2 e0, where 6 rad/s^2 are allowed


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize(("share", "is_near"), [(0.999, True), (1.001, False)])
def test_a_jump_is_counted_from_where_the_new_path_begins(moving, side, share, is_near):
    motion, now = moving
    now += 50 * MS
    q, v = motion.path.row(motion.path.grid(now + LEAD_NS))
    assert abs(v[0]) > 0.1
    bound = make_robot(2).safety.jump_factor * motion.planner.hard.v_max[0] * 0.05
    target = q + np.array([side * share * bound, 0.0])
    assert motion.reference(plan(np.broadcast_to(target, (8, 2)), now), now)[1] is is_near


@pytest.mark.parametrize("ease", [1.0, 0.5, 0.1])
def test_motion_is_as_slow_as_the_last_check_asked_for(ease):
    motion = motion_of()
    motion.anchor(np.zeros(2), START - LEAD_NS)
    motion.ease = ease
    fastest = 0.0
    for i in range(8):
        follow(motion, [1.9, 0.0], START + i * 50 * MS)
        fastest = max(fastest, motion.path.v.max())
    top = ease * motion.planner.limits.v_max[0]
    assert 0.9 * top <= fastest <= top + 1e-9
