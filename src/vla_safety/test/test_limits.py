"""Bad limits are refused with the joint's name; good ones become arrays."""

import dataclasses

import numpy as np
import pytest
from safety_world import make_robot

from vla_common.core.errors import ConfigError
from vla_common.core.robot import Safety
from vla_safety.core.limiter import towards
from vla_safety.core.limits import FARTHEST, SANE, UNBOUNDED, check, limits_of
from vla_safety.core.planner import Planner

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("key", ["v_max", "a_max", "d_max", "j_max"])
@pytest.mark.parametrize("value", [NAN, 0.0, -1.0])
def test_what_could_not_limit_is_refused(key, value):
    limits = limits_of(make_robot(3))
    bad = getattr(limits, key).copy()
    bad[1] = value
    with pytest.raises(ConfigError, match=r"joint_limits\.j1\.max_"):
        check(dataclasses.replace(limits, **{key: bad}), "file")


@pytest.mark.parametrize("key", ["v_max", "a_max", "d_max"])
def test_infinite_speed_or_acceleration_is_no_limit(key):
    limits = limits_of(make_robot(3))
    with pytest.raises(ConfigError):
        check(dataclasses.replace(limits, **{key: np.full(3, INF)}), "file")


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (2.0, 1.0), (NAN, 1.0), (0.0, INF)])
def test_reversed_or_endless_position_limits_are_refused(low, high):
    limits = limits_of(make_robot(2))
    with pytest.raises(ConfigError, match="min_position"):
        check(
            dataclasses.replace(limits, q_min=np.array([-1.0, low]), q_max=np.array([1.0, high])),
            "file",
        )


ENDS = {"v_max": "max_velocity", "a_max": "max_acceleration", "d_max": "max_deceleration",
        "j_max": "max_jerk"}  # fmt: skip


@pytest.mark.parametrize("key", ENDS)
@pytest.mark.parametrize("end", [0, 1])
def test_a_limit_beyond_all_reason_is_refused_by_name_and_value(key, end):
    limits = limits_of(make_robot(2))
    edge = SANE[ENDS[key]][end]
    check(dataclasses.replace(limits, **{key: np.array([1.0, edge])}), "file")
    if np.isinf(edge):  # without a limit of jerk
        return
    beyond = edge * (0.999, 1.001)[end]
    with pytest.raises(ConfigError, match=f"j1.{ENDS[key]}") as found:
        check(dataclasses.replace(limits, **{key: np.array([1.0, beyond])}), "file")
    assert f"{beyond!r}" in str(found.value) and f"{edge:g}" in str(found.value)


@pytest.mark.parametrize(("low", "high", "key"),
                         [(-1e38, 1e38, "min_position"), (-1.1 * FARTHEST, 1.0, "min_position"),
                          (0.0, 1.1 * FARTHEST, "max_position")])  # fmt: skip
def test_position_limits_beyond_all_reason_are_refused(low, high, key):
    """Where the way to the limit is that long, the number of steps that a stop takes overflows."""
    robot = make_robot(2, q_min=[-1.0, low], q_max=[1.0, high])
    with pytest.raises(ConfigError, match=rf"joint_limits\.j1\.{key}.*1e\+06"):
        limits_of(robot)
    limits_of(make_robot(2, q_min=-FARTHEST, q_max=FARTHEST))
    limits_of(make_robot(2, extra={"has_position_limits": False, "angle_wraparound": True}))


@pytest.mark.parametrize("dt", [0.0001, 0.05])
@pytest.mark.parametrize("end", [0, 1])
def test_at_the_ends_of_what_is_allowed_nothing_overflows(dt, end):
    jerk = SANE["max_jerk"][0] if end == 0 else np.inf
    brake = min(SANE["max_deceleration"][end], jerk * dt / 2.0)
    way = 2.0 * UNBOUNDED
    found = towards(way, 0.0, dt, brake)
    assert 0.0 < found == pytest.approx(np.sqrt(2.0 * brake * way), rel=1e-2)


def test_soft_limits_must_lie_within_the_hard_ones():
    soft = {"has_soft_limits": True, "soft_lower_limit": -3.0, "soft_upper_limit": 1.0}
    with pytest.raises(ConfigError, match="soft_lower_limit"):
        limits_of(make_robot(2, extra=soft))
    with pytest.raises(ConfigError, match="soft_lower_limit"):  # no room between them
        limits_of(make_robot(2, extra={**soft, "soft_lower_limit": 1.0}))


def test_optional_limits_default_to_the_weaker_promise():
    limits = limits_of(make_robot(2))
    assert (limits.d_max == limits.a_max).all()
    assert np.isinf(limits.j_max).all()
    assert (limits.soft_min == limits.q_min).all()
    assert not limits.v_max.flags.writeable


def test_velocity_scale_is_applied_to_velocities_only():
    limits = limits_of(make_robot(2, v_max=2.0, velocity_scale=0.25))
    assert limits.v_max.tolist() == [0.5, 0.5]
    assert limits.a_max.tolist() == [6.0, 6.0]


def test_speed_is_bounded_so_that_the_stop_fits_the_horizon():
    limits = limits_of(make_robot(1, v_max=10.0, a_max=6.0)).for_grid(0.01, 0.12)
    assert limits.v_max[0] == pytest.approx(6.0 * 0.12)


def test_a_jerk_limit_that_binds_on_the_grid_lowers_the_acceleration():
    extra = {"has_jerk_limits": True, "max_jerk": 100.0}
    limits = limits_of(make_robot(1, a_max=6.0, extra=extra)).for_grid(0.01, 0.12)
    assert limits.a_max[0] == pytest.approx(0.5)
    assert limits.d_max[0] == pytest.approx(0.5)


def test_a_horizon_without_room_for_a_stop_is_refused():
    limits = limits_of(make_robot(1))
    with pytest.raises(ConfigError) as found:
        Planner(limits, Safety(lookahead_ms=80.0, max_horizon_ms=80.0), "file")
    told = found.value
    assert (told.where, told.key, told.value) == ("file", "safety.max_horizon_ms", 80.0)
    assert told.allowed == ">= lookahead_ms + step_ms = 90"


def test_deceleration_may_be_stated_for_one_joint():
    robot = make_robot(2)
    one = dataclasses.replace(robot.limits[1], has_deceleration_limits=True, max_deceleration=9.0)
    limits = limits_of(dataclasses.replace(robot, limits=(robot.limits[0], one)))
    assert limits.d_max.tolist() == [6.0, 9.0]
    assert limits.a_max.tolist() == [6.0, 6.0]


def test_the_message_names_the_file():
    robot = make_robot(2)
    bad = dataclasses.replace(robot.limits[1], max_velocity=0.0)
    robot = dataclasses.replace(robot, limits=(robot.limits[0], bad), source="my_robot.yaml")
    with pytest.raises(ConfigError, match=r"my_robot\.yaml"):
        limits_of(robot)
