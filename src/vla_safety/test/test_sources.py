"""Joint states and emergency stops: what is fresh, where the arm is, who presses."""

import numpy as np
import pytest
from safety_world import make_robot

from vla_safety.core.limits import limits_of
from vla_safety.core.sources import MAX_SOURCES, EstopWatch, JointWatch

MS = 1_000_000
# so long that an error of a millionth of a factor is more than a nanosecond
LONG = {"joint_state_ms": 500.0, "estop_timeout_ms": 1000.0}


def watch(**robot):
    made = make_robot(**{"joints": 2, **LONG, **robot})
    return JointWatch(limits_of(made), made.safety)


def tell(joints, q, now=0, v=(0.0, 0.0), names=("j0", "j1")):
    return joints.update(list(names), list(q), list(v), now)


class TestJoints:
    def test_known_once_every_joint_was_measured(self):
        joints = watch()
        assert joints.stale(0)
        assert tell(joints, [0.0], v=[0.0], names=["j0"])
        assert not joints.known
        assert joints.stale(0)
        assert tell(joints, [0.0], v=[0.0], names=["j1"])
        assert joints.known
        assert not joints.stale(0)

    def test_the_oldest_joint_says_how_old_it_is(self):
        joints = watch()
        tell(joints, [0.0, 0.0], now=2)
        tell(joints, [0.0], now=7, v=[0.0], names=["j0"])
        assert joints.age_ns(10) == 8
        assert not joints.stale(500 * MS + 2)
        assert joints.stale(500 * MS + 3)

    def test_joints_of_others_are_ignored_and_are_no_fault(self):
        joints = watch()
        assert tell(joints, [5.0], v=[0.0], names=["wheel"])
        assert not joints.known
        assert tell(joints, [5.0, 0.3, 0.4], v=[0.0] * 3, names=["wheel", "j1", "j0"])
        assert joints.q.tolist() == [0.4, 0.3]
        assert joints.update([None, "j0"], [1.0, 0.7], [], 5)
        assert joints.q.tolist() == [0.7, 0.3]

    @pytest.mark.parametrize("nan", [float("nan"), float("inf")])
    def test_what_others_do_not_have_is_no_fault(self, nan):
        """joint_state_broadcaster sends NaN for an interface that is missing."""
        joints = watch()
        assert joints.update(["wheel", "j0", "j1"], [nan, 0.1, 0.2], [nan, 0.3, 0.4], 0)
        assert (joints.q.tolist(), joints.v.tolist()) == ([0.1, 0.2], [0.3, 0.4])
        assert not joints.update(["wheel", "j0"], [0.0, nan], [0.0, 0.0], 1)
        assert joints.update(["wheel", "j0"], [0.0, 0.2], [0.0, nan], 100 * MS)  # measured then
        assert joints.v == pytest.approx([1.0, 0.4])

    @pytest.mark.parametrize(
        ("names", "q"),
        [
            ("j0", [0.0]), (None, [0.0]), (["j0"], []), (["j0"], [[0.0]]), (["j0"], [np.nan]),
            (["j0"], ["x"]), (["j0"], None), (["j0"], [10**400]), (["j0"], [object()]),
        ],
    )  # fmt: skip
    def test_what_is_no_joint_state(self, names, q):
        joints = watch()
        tell(joints, [0.1, 0.2])
        assert not joints.update(names, q, [], 1)
        assert joints.q.tolist() == [0.1, 0.2]

    def test_numbers_in_words_are_numbers(self):
        joints = watch()
        assert joints.update(["j0", "j1"], ["0.5", "1"], [], 0)
        assert joints.q.tolist() == [0.5, 1.0]

    def test_speed_is_measured_where_none_is_sent(self):
        joints = watch()
        joints.update(["j0", "j1"], [0.5, 0.0], [], 0)
        assert not joints.still()  # not seen to stand yet
        joints.update(["j0", "j1"], [0.6, 0.0], [], 100 * MS)
        assert joints.v == pytest.approx([1.0, 0.0])
        joints.update(["j0"], [0.7], [], 199 * MS)  # too soon after it to tell
        assert joints.v == pytest.approx([1.0, 0.0])
        joints.update(["j0"], [0.5], [], 200 * MS)
        assert joints.v == pytest.approx([-1.0, 0.0])
        joints.update(["j0"], [0.6], [2.0], 300 * MS)
        assert joints.v == pytest.approx([2.0, 0.0])
        joints.update(["j0"], [0.8], [], 400 * MS)
        assert joints.v == pytest.approx([2.0, 0.0])

    def test_one_step_of_an_encoder_is_no_motion(self):
        """A servo of 4096 steps a turn flickers by 1.5 mrad, and tells no speed."""
        joints, rng, moved = watch(), np.random.default_rng(1), 0
        for i in range(400):
            joints.update(["j0", "j1"], rng.integers(0, 2, 2) * 2 * np.pi / 4096, [], i * 10 * MS)
            moved += i > 20 and not joints.still()
        assert moved == 0

    def test_outside_by_half_a_degree_or_a_share_of_a_short_range(self):
        wide, short = watch(), watch(q_min=1.0, q_max=1.04)
        edge, small = np.deg2rad(0.5), 0.05 * 0.04
        for joints, low, high in (
            (wide, -2.0 - edge, 2.0 + edge),
            (short, 1 - small, 1.04 + small),
        ):
            inside = (low + high) / 2.0
            for q, outside in (
                (low + 1e-9, False), (low - 1e-9, True), (high - 1e-9, False), (high + 1e-9, True),
            ):  # fmt: skip
                tell(joints, [inside, q])
                assert joints.outside() is outside
                tell(joints, [q, inside])
                assert joints.outside() is outside

    def test_still_below_a_share_of_the_speed_limit(self):
        joints = watch(v_max=[2.0, 0.5])
        for v, still in (
            ([0.04, 0.01], True), ([-0.04, -0.01], True), ([0.0401, 0.0], False),
            ([0.0, 0.0101], False), ([0.0, -0.0101], False),
        ):  # fmt: skip
            tell(joints, [0.0, 0.0], v=v)
            assert joints.still() is still

    @pytest.mark.parametrize("scale", [1.0, 0.25, 0.01])
    def test_a_lowered_speed_does_not_make_the_flicker_of_an_encoder_motion(self, scale):
        joints = watch(v_max=1.5, velocity_scale=scale)
        tell(joints, [0.0, 0.0], v=[])
        assert not joints.still()  # not seen to stand yet
        for v, still in ((0.0299, True), (-0.0299, True), (0.0301, False), (-0.0301, False)):
            tell(joints, [0.0, 0.0], v=[v, 0.0])
            assert joints.still() is still

    def test_distance_is_the_short_way_round_for_continuous_joints_only(self):
        extra = {"angle_wraparound": True, "has_position_limits": False}
        joints, plain = watch(extra=extra), watch(q_min=-20.0, q_max=20.0)
        far = [3.1 + 4 * np.pi, -3.1]
        tell(joints, far)
        tell(plain, far)
        assert joints.error(np.array([-3.1, 3.1])) == pytest.approx([2 * np.pi - 6.2] * 2)
        assert joints.error(np.array([3.0, -3.0])) == pytest.approx([0.1, 0.1])
        assert plain.error(np.array([3.1, -3.2])) == pytest.approx([4 * np.pi, 0.1])

    def test_a_gripper_that_holds_something_is_no_arm_that_lags(self):
        joints = watch(grippers=(1,))
        for _ in range(5):
            tell(joints, [0.0, 1.0])
            assert joints.disagrees(np.zeros(2)) == joints.lag_ticks == 0
        tell(joints, [1.0, 0.0])
        assert joints.disagrees(np.zeros(2)) == joints.lag_ticks == 1

    def test_disagreement_is_counted_in_measurements(self):
        joints = watch(tracking_tolerance=0.5)
        zero = np.zeros(2)
        assert joints.disagrees(zero) == 0
        assert (joints.off_ticks, joints.lag_ticks) == (0, 0)
        for q, off, lag in (
            (0.1, 0, 0), (0.15, 0, 0), (0.16, 0, 1), (0.5, 0, 2), (0.51, 1, 3), (-0.51, 2, 4),
            (0.5, 0, 5), (0.15, 0, 0), (0.6, 1, 1),
        ):  # fmt: skip
            tell(joints, [q, 0.0])
            assert joints.disagrees(zero) == off
            assert (joints.off_ticks, joints.lag_ticks) == (off, lag)
            assert joints.disagrees(zero) == off  # the same measurement does not count twice
            assert joints.lag_ticks == lag


class TestEstop:
    @pytest.fixture
    def estop(self):
        return EstopWatch(make_robot(2, **LONG).safety)

    def test_nobody_is_nobody(self, estop):
        assert not estop.seen
        assert estop.pressed() == estop.silent(10**18) == []
        assert estop.age_ns(5) == 0
        assert estop.trips == 0

    def test_pressed_and_released(self, estop):
        estop.update("a", False, 0)
        estop.update("b", True, 0)
        assert estop.seen
        assert estop.pressed() == ["b"]
        estop.update("b", False, 1)
        assert estop.pressed() == []

    @pytest.mark.parametrize("value", [True, None, 0, 1, "False", np.False_])
    def test_anything_but_false_is_pressed(self, estop, value):
        estop.update("a", value, 0)
        assert estop.pressed() == ["a"]

    def test_silence(self, estop):
        estop.update("a", False, 0)
        estop.update("b", False, 10)
        assert estop.silent(1000 * MS) == []
        assert estop.silent(1000 * MS + 1) == ["a"]
        assert estop.age_ns(1000 * MS) == 1000 * MS

    def test_too_many_sources_count_as_pressed(self, estop):
        for number in range(MAX_SOURCES):
            estop.update(f"s{number}", False, 0)
        estop.update("another", False, 0)
        assert estop.pressed() == ["more than 8 sources"]
        estop.update("s3", True, 0)
        assert estop.pressed() == ["s3", "more than 8 sources"]

    def test_too_many_sources_stay_a_fault(self, estop):
        for number in range(MAX_SOURCES + 1):
            estop.update(f"s{number}", False, 0)
        estop.update("more than 8 sources", False, 1)
        assert estop.pressed() == ["more than 8 sources"]

    def test_sources_are_told_apart_by_the_whole_name(self, estop):
        first, second = "x" * 255 + "1", "x" * 255 + "2"
        estop.update(first, False, 0)
        estop.update(second, True, 0)
        estop.update(first, False, 1000 * MS)
        shown = "x" * 32 + "..." + "x" * 28
        assert estop.pressed() == [shown + "2"]
        assert estop.silent(1000 * MS + 1) == [shown + "2"]
        assert estop.silent(2000 * MS + 1) == [shown + "1", shown + "2"]

    def test_a_name_of_up_to_64_characters_is_told_whole(self, estop):
        whole, longer = "a" * 63 + "b", "c" * 64 + "d"
        estop.update(whole, True, 0)
        estop.update(longer, True, 0)
        assert estop.pressed() == [whole, "c" * 32 + "..." + "c" * 28 + "d"]

    def test_a_name_that_is_too_long_is_a_stop_until_a_new_start(self, estop):
        estop.update("x" * 256, False, 0)
        assert estop.pressed() == []
        for _ in range(2):
            estop.update("x" * 257, False, 0)
            (said,) = estop.pressed()
            assert said.startswith("name too long: over 256 characters, xxx")
            assert len(said) < 128
        estop.update(said, False, 0)
        assert estop.pressed() == [said]

    def test_names_are_kept_within_bounds(self, estop):
        for number in range(1000):
            estop.update(f"{number}" * 100, False, 0)
            estop.update(f"{number}", False, 0)
        assert len(estop._sources) == MAX_SOURCES
        assert len(estop._faults) <= MAX_SOURCES

    def test_the_topic_cannot_hide_behind_the_own_source(self, estop):
        estop.expect("button", 0)
        estop.update_own(False, 0)
        estop.update("button", True, 0)
        estop.update("button (topic)", False, 0)
        assert estop.pressed() == ["button (topic)"]
