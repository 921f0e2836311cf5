"""Nothing malformed is followed, and nothing malformed raises."""

from dataclasses import replace

import numpy as np
import pytest
from command_world import A_MAX, JOINTS, MS, parameters, path, robot
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_command.core.checks import Bounds, Refusal, check, check_jump
from vla_command.core.path import GateState
from vla_common.core.robot import from_parameters

NOW = 10_000 * MS
BOUNDS = Bounds.of(robot())


def changed(index, value, field="positions"):
    values = getattr(path(NOW), field).copy()
    values[index] = value
    return {field: values}


@pytest.mark.parametrize(
    "changes, refusal",
    [
        ({}, None),
        ({"joint_names": JOINTS[::-1]}, Refusal.NAMES),
        ({"joint_names": ()}, Refusal.NAMES),
        ({"joint_names": (*JOINTS, "j9")}, Refusal.NAMES),
        ({"joint_names": ("j1", "j2", "гrip")}, Refusal.NAMES),
        ({"horizon": 0}, Refusal.SIZE),
        ({"horizon": 2**32 - 1}, Refusal.SIZE),
        ({"tail_start": 1000}, Refusal.SIZE),
        ({"positions": np.zeros(0)}, Refusal.SIZE),
        ({"velocities": np.zeros(3)}, Refusal.SIZE),
        ({"step_dt": float("nan")}, Refusal.STEP),
        ({"step_dt": 0.0}, Refusal.STEP),
        ({"step_dt": -0.01}, Refusal.STEP),
        ({"step_dt": float("inf")}, Refusal.STEP),
        ({"step_dt": 0.5}, Refusal.SIZE),
        ({"state": 7}, Refusal.STATE),
        ({"state": 255}, Refusal.STATE),
        ({"state": -1}, Refusal.STATE),
        (changed(4, float("nan")), Refusal.FINITE),
        (changed(0, float("inf"), "velocities"), Refusal.FINITE),
        (changed(-1, 1e-6, "velocities"), Refusal.NO_STOP),
        (changed(5, 2.5), Refusal.LIMITS),
        (changed(5, 1.9), Refusal.LIMITS),  # within the range, but not from one row to the next
        (changed(5, -2.2, "velocities"), Refusal.LIMITS),
        ({"seq": 0}, Refusal.SEQ),
        ({"valid_until_ns": NOW}, Refusal.EXPIRED),
        ({"valid_until_ns": -(2**63)}, Refusal.EXPIRED),
        ({"start_ns": NOW + 5000 * MS}, Refusal.LATE),
        ({"start_ns": -(2**63)}, Refusal.LATE),
        ({"start_ns": 2**63 - 1}, Refusal.LATE),
    ],
)
def test_refusal(changes, refusal):
    assert check(path(NOW, **changes), BOUNDS, 0, NOW) is refusal


def uneven(velocities, positions=None):
    """Return a path of rows 10 ms apart, alike for all joints; ``positions`` are added."""
    v = np.array(velocities, dtype=float)
    q = np.concatenate(([0.0], np.cumsum((v[1:] + v[:-1]) * 0.005)))
    q = q if positions is None else q + np.array(positions)
    wide = np.ones(len(JOINTS))
    return path(
        NOW, horizon=len(v), tail_start=len(v) - 1, positions=np.outer(q, wide).ravel(),
        velocities=np.outer(v, wide).ravel(),
    )  # fmt: skip


@pytest.mark.parametrize("share, refusal", [(1.01, None), (1.03, Refusal.LIMITS)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_from_row_to_row_no_joint_accelerates_more_than_the_gate_may(share, sign, refusal):
    step = sign * share * A_MAX * 0.01
    for steps in ([0, step, 0], [step, 2 * step, step, 0], [step, 0, step / 2, 0]):
        assert check(uneven(steps), BOUNDS, 0, NOW) is refusal


@pytest.mark.parametrize("where", [1, 2])
def test_nor_does_it_where_positions_and_velocities_do_not_belong_together(where):
    """The cubic through both would be as hard as no velocity says."""
    for beside, refusal in ((1e-9, None), (2 * A_MAX * 0.01**2 / 6.0, Refusal.LIMITS)):
        aside = np.where(np.arange(4) == where, beside, 0.0)
        assert check(uneven([0, 0, 0, 0], aside), BOUNDS, 0, NOW) is refusal


def test_far_from_zero_what_rounding_adds_is_no_reason():
    """A joint that turned endlessly."""
    bounds = replace(BOUNDS, q_min=np.full(3, -np.inf), q_max=np.full(3, np.inf))
    assert (
        check(uneven([0.3, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05, 0.0], [1e6 / 3] * 8), bounds, 0, NOW)
        is None
    )


def test_a_repeated_seq_is_refused():
    assert check(path(NOW, seq=5), BOUNDS, 5, NOW) is Refusal.SEQ
    assert check(path(NOW, seq=4), BOUNDS, 5, NOW) is Refusal.SEQ
    assert check(path(NOW, seq=6), BOUNDS, 5, NOW) is None


def test_an_arm_resting_slightly_outside_may_be_commanded_there():
    q = np.full_like(path(NOW).positions, 2.005)
    assert check(path(NOW, positions=q, velocities=q * 0), BOUNDS, 0, NOW) is None


@pytest.mark.parametrize("side", [-1, 1])
def test_a_gripper_may_rest_outside_by_a_share_of_its_short_range(side):
    """Half a degree taken for metres would be 8.7 mm; the range is 40 mm, a twentieth 2 mm."""
    values = parameters()
    values["joint_limits"]["grip"] |= {"min_position": -0.02, "max_position": 0.02}
    bounds = Bounds.of(from_parameters(values, "test"))
    for q, refusal in ((0.0219, None), (0.0221, Refusal.LIMITS), (0.0287, Refusal.LIMITS)):
        rows = np.zeros((4, 3))
        rows[:, 2] = side * q
        fields = {"positions": rows.ravel(), "velocities": np.zeros(12)}
        resting = path(NOW, horizon=4, tail_start=0, **fields)
        assert check(resting, bounds, 0, NOW) is refusal


def test_a_joint_without_an_end_may_rest_anywhere():
    values = parameters()
    values["joint_limits"]["j1"] |= {"has_position_limits": False, "angle_wraparound": True}
    bounds = Bounds.of(from_parameters(values, "test"))
    assert (bounds.q_min[0], bounds.q_max[0]) == (-np.inf, np.inf)


def test_a_jump_is_what_no_arm_could_follow():
    moves, stands = path(NOW), path(NOW, horizon=1)
    assert check_jump(moves, np.full(3, 0.15), np.zeros(3), BOUNDS) is None
    assert check_jump(moves, np.array([0.0, -0.25, 0.0]), np.zeros(3), BOUNDS) is Refusal.JUMP
    assert check_jump(stands, np.array([0.0, -0.25, 0.0]), np.zeros(3), BOUNDS) is None
    assert check_jump(stands, np.array([0.0, 0.0, 0.4]), np.zeros(3), BOUNDS) is Refusal.JUMP


junk = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=300)
@given(
    names=st.one_of(st.just(JOINTS), st.lists(st.text(max_size=3), max_size=4).map(tuple)),
    step_dt=junk, horizon=st.integers(0, 2**32 - 1) | st.integers(0, 4),
    start=st.integers(-(2**63), 2**63 - 1), until=st.integers(-(2**63), 2**63 - 1),
    seq=st.integers(0, 2**64 - 1), q=st.lists(junk, max_size=12), v=st.lists(junk, max_size=12),
    state=st.integers(0, 255),
)  # fmt: skip
def test_junk_is_refused_and_never_raises(names, step_dt, horizon, start, until, seq, q, v, state):
    junk_path = path(
        NOW, joint_names=names, step_dt=step_dt, horizon=horizon, start_ns=start,
        valid_until_ns=until, seq=seq, positions=np.array(q), velocities=np.array(v), state=state,
    )  # fmt: skip
    refusal = check(junk_path, BOUNDS, 0, NOW)
    if refusal is None:
        assert np.isfinite(junk_path.positions).all() and names == JOINTS


def test_states_are_those_of_the_message():
    from vla_msgs.msg import SafetyState

    for state in GateState:
        assert getattr(SafetyState, state.name) == state


def test_a_limit_of_jerk_lowers_what_joining_and_braking_may_ask_for():
    values = parameters()
    limit = values["joint_limits"]["j2"]
    limit.update(has_jerk_limits=True, max_jerk=1000.0)
    limit.update(has_deceleration_limits=True, max_deceleration=3.0)
    reach = Bounds.of(from_parameters(values, "test")).reach
    assert reach.a_max.tolist() == [A_MAX, 5.0, A_MAX]  # 1000 * 10 ms / 2
    assert reach.d_max.tolist() == [A_MAX, 3.0, A_MAX]
