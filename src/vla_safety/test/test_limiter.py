"""The limiter's step, the stop tail, and whole motions judged by the independent oracle."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safety_world import make_robot, step

from vla_common.core.robot import Safety
from vla_safety.core.compiled import plain
from vla_safety.core.limiter import Law, Limiter, permitted, slowest, towards
from vla_safety.core.limits import limits_of
from vla_safety.core.path import Path, rest, stop_rows
from vla_safety.core.planner import Planner
from vla_safety.core.reference import through
from vla_safety.oracle import Stated, Track
from vla_safety.prove import GRIDS_MS, random_limits, trial

DT = 0.01


def stopping_distance(v: float, brake: float, dt: float) -> float:
    """Brake step by step, the plain way."""
    distance = 0.0
    while v > 0.0:
        after = max(v - brake * dt, 0.0)
        distance += (v + after) * dt / 2.0
        v = after
    return distance


@given(st.floats(0.01, 5.0), st.floats(0.1, 50.0), st.sampled_from([0.005, 0.01, 0.02, 0.05, 0.1]))
def test_the_bound_is_exact_the_stop_just_fits(distance, brake, dt):
    new = towards(distance, 0.0, dt, brake)
    used = new * dt / 2.0 + stopping_distance(new, brake, dt)
    assert used == pytest.approx(distance, rel=1e-6, abs=1e-9)


@given(st.floats(0.0, 3.0), st.floats(0.1, 20.0), st.floats(0.0, 1.0))
def test_from_a_safe_state_full_braking_is_always_permitted(v, brake, spare):
    distance = stopping_distance(v, brake, DT) + spare
    assert towards(distance, v, DT, brake) >= max(v - brake * DT, 0.0) - 1e-9


def test_nothing_towards_a_limit_that_is_reached():
    assert towards(0.0, 0.0, DT, 5.0) == 0.0
    assert towards(-0.1, 0.0, DT, 5.0) == 0.0


@pytest.mark.parametrize(
    ("v", "a", "d", "lowest"),
    [
        (1.0, 0.1, 0.3, 0.7),  # braking: the deceleration
        (0.2, 0.1, 0.3, 0.0),  # ... but it ends at a standstill
        (0.05, 0.1, 0.3, -0.05),  # across zero: the weaker
        (0.05, 0.3, 0.1, -0.05),
        (0.2, 0.3, 0.1, 0.1),
        (0.0, 0.1, 0.3, -0.1),  # from rest: the acceleration
        (-1.0, 0.1, 0.3, -1.1),
    ],
)
def test_reachable_velocities_with_different_deceleration(v, a, d, lowest):
    assert slowest(v, a, d) == pytest.approx(lowest)


def _limiter(robot):
    limits = limits_of(robot).for_grid(DT, 0.12)
    return Limiter(limits, DT, 0.03), limits


def one_joint(room: float) -> Law:
    """Return the law of a joint with this much room on both sides."""
    row = dict.fromkeys(Law._fields, float("inf")) | {"low": -room, "high": room}
    row |= {"v_max": 1.5, "brake": 8.0, "a": 0.5, "d": 0.5}
    return Law(*(plain(np.array([value])) for value in row.values()))


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("v", [1.2, 1.5])
def test_whatever_is_wanted_no_velocity_beyond_the_limit_is_permitted(side, v):
    assert permitted(one_joint(100.0), DT, 0, 0.0, side * v, side * 9.0) == side * 1.5


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("v", [0.0, 0.3])
def test_whatever_is_wanted_the_stop_fits_into_the_room(side, v):
    found = side * permitted(one_joint(0.01), DT, 0, 0.0, side * v, side * 9.0)
    way = (v + found) * DT / 2 + stopping_distance(found, 8.0, DT)
    assert 0.0 < found <= v + 0.5
    assert way == pytest.approx(0.01)
    assert way <= 0.01 + 1e-12


def test_without_a_step_nothing_is_scaled():
    limiter, _ = _limiter(make_robot(1))
    row = np.zeros((1, 1))
    q, v, factor = limiter.steps(row[0], row[0], row + 1.0, row, 1.0)
    assert (q.tolist(), v.tolist(), factor) == ([[0.0]], [[0.0]], 1.0)


def test_direction_is_kept_from_rest():
    limiter, _ = _limiter(make_robot(3))
    q, v = [0.0] * 3, [0.0] * 3
    target = [0.4, -0.2, 0.1]
    for _ in range(200):
        q, v, _ = step(limiter, q, v, target, [0.0] * 3, [0.0] * 3, 1.0)
        line = np.array(q) / np.array(target)
        assert np.ptp(line) < 1e-9
    assert q == pytest.approx(target, abs=1e-6)


def wants(limiter, v, want):
    """Return the velocities (joints,) after one step in which the plan asks for ``want``."""
    n = [0.0] * len(v)
    return np.array(step(limiter, n, v, n, want, want, 1.0)[1])


@pytest.mark.parametrize("scale", [1.0, -1.0])
@pytest.mark.parametrize("want", [0.55, 0.0, -0.3])
def test_a_joint_that_cannot_speed_up_keeps_no_other_from_braking(scale, want):
    robot = make_robot(3, v_max=1.0, a_max=[0.1, 10.0, 10.0], max_horizon_ms=2000.0)
    limiter = Limiter(limits_of(robot), DT, DT)
    v = np.array([0.0, 0.6, 0.0])
    found = wants(limiter, scale * v, scale * np.array([0.05, want, 0.05])) * scale
    assert found[1] == pytest.approx(max(want, 0.5))  # as if it were alone
    assert found[0] == pytest.approx(0.1 * DT)
    assert found[2] == pytest.approx(found[0])  # what speeds up keeps its line


@pytest.mark.parametrize("part", [0.9, 0.3, 0.0, -0.5, -1.0])
@pytest.mark.parametrize("v", [[0.3, 0.6, -0.9], [0.3, 0.0, -0.9]])
def test_joints_that_brake_keep_their_line(part, v):
    robot = make_robot(3, v_max=1.0, a_max=[10.0, 2.0, 1.0], max_horizon_ms=2000.0)
    limiter = Limiter(limits_of(robot), DT, DT)
    found, before = np.array(v), 1.0
    for _ in range(40):
        found = wants(limiter, found, part * np.array(v))
        share = found[0] / v[0]
        assert found == pytest.approx(share * np.array(v), abs=1e-12)
        assert part <= share <= before
        before = share


def test_without_braking_all_joints_speed_up_by_the_same_share():
    robot = make_robot(3, v_max=1.0, a_max=[1.0, 10.0, 10.0], max_horizon_ms=2000.0)
    limiter = Limiter(limits_of(robot), DT, DT)
    v, want = np.array([0.1, -0.2, 0.0]), np.array([0.2, -0.6, 0.3])
    share = (wants(limiter, v, want) - v) / (want - v)
    assert share == pytest.approx(np.full(3, 1.0 * DT / 0.1))


@pytest.mark.parametrize("v", [[0.02, 0.5], [0.5, 0.5], [-0.02, -0.5], [-0.5, -0.5]])
def test_the_share_is_the_same_where_braking_may_be_harder(v):
    """How fast a joint moves, and how it might brake, does not matter to one that speeds up."""
    robot = make_robot(2, v_max=2.0, a_max=1.0, max_horizon_ms=2000.0)
    limits = dataclasses.replace(limits_of(robot), d_max=np.full(2, 4.0))
    limiter, v = Limiter(limits, DT, DT), np.array(v)
    wanted = np.array([0.5, 0.05]) * np.sign(v)
    assert (wants(limiter, v, v + wanted) - v) / wanted == pytest.approx([1.0 * DT / 0.5] * 2)


def test_a_gripper_closes_in_as_gently_as_the_arm():
    robot = make_robot(2, grippers=(1,))
    limiter, _ = _limiter(robot)
    q, v = [0.0, 0.0], [0.0, 0.0]
    for _ in range(40):
        q, v, _ = step(limiter, q, v, [1e-3, 1e-3], [0.0, 0.0], [0.0, 0.0], 1.0)
        assert 0.0 < q[1] == pytest.approx(q[0]) and q[1] <= 1e-3


def test_a_gripper_does_not_slow_the_arm_down():
    robot = make_robot(2, q_min=[-2, 0.0], q_max=[2, 0.04], v_max=[1.5, 0.01], grippers=(1,))
    limiter, limits = _limiter(robot)
    _, v, _ = step(limiter, [0.0, 0.0], [0.0, 0.0], [1.0, 0.04], [0.0, 0.0], [0.0, 0.0], 1.0)
    assert v[0] == pytest.approx(limits.a_max[0] * DT)


def test_without_noise_the_plan_is_followed_closely():
    robot = make_robot(2)
    planner = Planner(limits_of(robot), robot.safety)
    t = np.arange(40)[:, None] * 0.05
    curve = through(0.1 * np.sin(2.0 * t) * [1.0, -0.5], 0, 50_000_000)
    q, v = curve.sample(100_000_000, 1, 1)
    path, factor = planner.follow(q[0], v[0], 100_000_000, curve, 1.0)
    assert factor == 1.0
    wanted, _ = curve.sample(100_000_000, planner.step_ns, planner.ahead + 1)
    assert np.abs(path.q[: planner.ahead + 1] - wanted).max() < 2e-4


def test_soft_limits_slow_the_approach():
    soft = {"has_soft_limits": True, "soft_lower_limit": -1.0, "soft_upper_limit": 1.0,
            "k_position": 2.0}  # fmt: skip
    limiter, _ = _limiter(make_robot(1, extra=soft))
    _, v, _ = step(limiter, [0.95], [0.1], [2.0], [0.0], [0.0], 1.0)
    assert v[0] <= 0.1 + 1e-12
    q, v = [0.0], [0.0]
    for _ in range(500):
        q, v, _ = step(limiter, q, v, [2.0], [0.0], [0.0], 1.0)
    assert q[0] <= 1.0 + 1e-3


@pytest.mark.parametrize("q", [-1.2, 1.2])
def test_beyond_a_soft_limit_nothing_drives_the_arm(q):
    soft = {"has_soft_limits": True, "soft_lower_limit": -1.0, "soft_upper_limit": 1.0,
            "k_position": 2.0}  # fmt: skip
    limiter, _ = _limiter(make_robot(1, extra=soft))
    assert step(limiter, [q], [0.0], [q], [0.0], [0.0], 1.0)[:2] == ([q], [0.0])


def test_a_stop_is_straight_and_ends_at_rest():
    limits = limits_of(make_robot(3)).for_grid(DT, 0.12)
    v = np.array([0.5, -0.25, 0.1])
    q_rows, v_rows = stop_rows(np.zeros(3), v, limits, DT)
    assert not v_rows[-1].any()
    assert np.ptp(q_rows[-1] / v) < 1e-12
    used = np.abs(np.diff(np.vstack((v, v_rows)), axis=0)) / DT
    assert (used <= limits.d_max + 1e-9).all()
    assert used[:, 0] == pytest.approx(0.5 / len(v_rows) / DT)  # in as many rows as it takes
    assert len(v_rows) == np.ceil(0.5 / limits.d_max[0] / DT)


def test_near_a_limit_a_joint_stops_on_its_own():
    limits = limits_of(make_robot(2, a_max=[6.0, 1.0])).for_grid(DT, 0.12)
    v = np.array([0.3, 0.1])
    q = np.array([2.0 - stopping_distance(0.3, 6.0, DT), 0.0])
    q_rows, _ = stop_rows(q, v, limits, DT)
    assert q_rows[:, 0].max() <= 2.0 + 1e-12


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("slow", [0.05, -0.05])
def test_a_joint_that_stops_on_its_own_leaves_the_others_on_their_line(side, slow):
    limits = limits_of(make_robot(3, a_max=[6.0, 1.0, 1.0])).for_grid(DT, 0.12)
    v = side * np.array([0.3, 0.1, slow])
    q = side * np.array([2.0 - stopping_distance(0.3, 6.0, DT), 0.0, 0.0])
    _, v_rows = stop_rows(q, v, limits, DT)
    left = 1.0 - np.arange(1, len(v_rows) + 1) / len(v_rows)
    assert v_rows[:, 1:] == pytest.approx(left[:, None] * v[1:])
    assert abs(v_rows[0, 0]) < left[0] * 0.3  # while that one brakes harder


def test_path_between_rows_and_its_rest():
    path = Path(
        100, 10_000_000, np.array([[0.0], [0.01], [0.02]]), np.array([[1.0], [1.0], [0.0]]), 1
    )
    assert path.at(100 + 5_000_000)[0][0] == pytest.approx(0.005)
    assert path.at(10**9)[1][0] == 0.0
    assert path.grid(50) == 100
    assert path.grid(101) == 100 + 10_000_000
    assert len(path.after(100 + 10_000_000).q) == 2
    assert len(path.after(10**12 + 100).q) == 1
    assert rest(np.zeros(2), 5, 10).end_ns == 5
    assert not rest(np.zeros(2), 5, 10).measured


@pytest.mark.parametrize("grid_ms", GRIDS_MS)
@settings(max_examples=15)
@given(seed=st.integers(0, 2**32))
def test_no_motion_leaves_the_limits(grid_ms, seed):
    verdict = trial(seed, grid_ms).verdict
    assert not verdict.violations
    assert verdict.steps > 0


class TestOracle:
    """The judge itself: each kind of violation is seen."""

    def judge(self, q, v, **changes):
        n = np.array(q).shape[1]
        stated = {k: np.full(n, x) for k, x in
                  {"q_min": -1.0, "q_max": 1.0, "v_max": 1.0, "a_max": 5.0, "d_max": 5.0,
                   "j_max": np.inf, **changes}.items()}  # fmt: skip
        track = Track(Stated(**stated))
        track.send(0, 10_000_000, np.array(q, dtype=float), np.array(v, dtype=float))
        return track.finish(10_000_000).violations

    def test_good(self):
        assert not self.judge([[0.0], [0.00025], [0.0005]], [[0.0], [0.05], [0.0]])

    @pytest.mark.parametrize(
        ("q", "v", "changes", "word"),
        [
            ([[1.01]], [[0.0]], {}, "position"),
            ([[0.0], [0.01], [0.015]], [[1.0], [1.0], [0.0]], {}, "acceleration"),
            ([[0.0], [0.00025]], [[0.0], [0.05]], {}, "rest"),
            ([[0.0], [0.1], [0.0]], [[0.0], [0.0], [0.0]], {}, "disagree"),
            ([[0.0], [0.00025], [0.0005]], [[0.0], [0.05], [0.0]], {"v_max": 0.04}, "velocity"),
            ([[0.0], [0.00025], [0.0005]], [[0.0], [0.05], [0.0]], {"j_max": 900.0}, "jerk"),
            ([[np.nan]], [[0.0]], {}, "finite"),
        ],
    )
    def test_bad(self, q, v, changes, word):
        assert any(word in text for text in self.judge(q, v, **changes))

    def test_between_the_rows(self):
        q = [[0.99999], [0.99999]]
        assert self.judge(q, [[0.05], [-0.05]], a_max=20.0, d_max=20.0)

    def test_a_path_must_begin_where_the_last_one_was(self):
        track = Track(Stated(*(np.full(1, x) for x in (-1.0, 1.0, 1.0, 5.0, 5.0, np.inf))))
        still = np.zeros((1, 1))
        track.send(0, 10_000_000, still, still)
        track.send(10_000_000, 10_000_000, still + 0.01, still)
        assert any("begin" in text for text in track.finish(10_000_000).violations)


def test_random_limits_cover_what_they_should():
    found = [random_limits(np.random.default_rng(seed)) for seed in range(100)]
    assert {limits.joints for limits in found} >= {2, 6, 7, 14}
    assert any(limits.continuous.any() for limits in found)
    assert any(np.isfinite(limits.j_max).any() for limits in found)
    assert Safety().step_ms == 10.0
