"""The robot file: what is refused, and that the message names file, key, value, allowed."""

import copy
import math
from dataclasses import fields, replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vla_common.core.errors import ConfigError
from vla_common.core.robot import JointLimit, from_parameters, load

LIMIT = {
    "has_position_limits": True,
    "min_position": -1.0,
    "max_position": 1.0,
    "has_velocity_limits": True,
    "max_velocity": 1.0,
    "has_acceleration_limits": True,
    "max_acceleration": 5.0,
}
GOOD = {
    "robot": {"name": "r", "joints": ["a", "b"], "home": [0.0, 0.0]},
    "joint_limits": {"a": dict(LIMIT), "b": dict(LIMIT)},
    "cameras": {"names": ["front"], "front": {"topic": "/c", "width": 64, "height": 64}},
    "model": {"bundle": "reach"},
    "kinematics": {"enabled": False},
}


@pytest.fixture
def values():
    return copy.deepcopy(GOOD)


def changed(path, value):
    values = copy.deepcopy(GOOD)
    place = values
    *keys, last = path.split(".")
    for key in keys:
        place = place.setdefault(key, {})
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return values


def test_good_file_is_read_in_order():
    robot = from_parameters(GOOD, "here")
    assert robot.joints == ("a", "b")
    assert robot.bound("max_velocity").tolist() == [1.0, 1.0]
    assert robot.control.rate == 20.0


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("joint_limits.a.max_velocity", math.nan, "finite"),
        ("joint_limits.a.max_velocity", -1.0, "> 0"),
        ("joint_limits.a.max_velocity", "fast", "number"),
        ("joint_limits.a.max_velocity", True, "number"),
        ("joint_limits.a.max_acceleration", math.inf, "finite"),
        ("joint_limits.a.max_acceleration", 0.0, "> 0"),
        ("joint_limits.a.min_position", 1.0, "below max_position"),
        ("joint_limits.a.min_position", KeyError, "below max_position"),
        ("joint_limits.a.max_speed", 1.0, "max_velocity"),
        ("joint_limits.b", KeyError, "every joint has limits"),
        ("joint_limits.c", dict(LIMIT), "unknown key"),
        ("joint_limits.a.has_velocity_limits", False, "the gate needs it"),
        ("joint_limits.a.has_jerk_limits", True, "has_jerk_limits"),
        ("robot.joints", ["a", "a"], "differ"),
        ("robot.joints", [], "at least one"),
        ("robot.home", [0.0], "2 values"),
        ("robot.home", [0.0, 3.0], "within [-1, 1] for b"),
        ("robot.colour", "blue", "unknown key"),
        ("robot.grippers", ["c"], "names from robot.joints"),
        ("cameras.front.encoding", "yuv", "one of"),
        ("cameras.front.width", 64.5, "whole number"),
        ("cameras.back", {"topic": "/b"}, "unknown key"),
        ("cameras.names", ["front", "wrist"], "named in cameras.names"),
        ("safty", {}, "did you mean 'safety'"),
        ("control.rate", 0.0, ">= 1"),
        ("safety.joint_state_ms", 19.0, ">= 20, two periods of controller.joint_state_rate"),
        ("controller.joint_state_rate", 50.0, ">= 40, two periods of"),
        ("controller.update_rate", 5.0, ">= 10"),
        ("safety.auto_enable", True, "= True is not allowed: false: only a simulated arm"),
        ("model.bundle", KeyError, "required"),
        ("model", KeyError, "required"),
    ],
)
def test_mistakes_are_refused_with_the_key(path, value, words):
    with pytest.raises(ConfigError) as caught:
        from_parameters(changed(path, value), "robot.yaml")
    message = str(caught.value)
    assert message.startswith("robot.yaml: ")
    assert words in message
    assert path.split(".")[-1] in message or path.split(".")[0] in message


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("path", ["joint_limits.a.max_velocity", "cameras.front.width"])
def test_a_whole_number_beyond_every_float_is_refused(path, sign):
    with pytest.raises(ConfigError, match="about 400 digits' is not allowed: a finite number, >"):
        from_parameters(changed(path, sign * 10**400), "robot.yaml")


CHECKS = (
    *("camera_sync.max_skew_ms", "camera_sync.stale_ms", "camera_sync.frozen_frames"),
    *("camera_sync.dark_frames", "control.max_chunk_age_ms", "safety.max_horizon_ms"),
    *("safety.lease_ms", "safety.max_action_age_ms", "safety.max_capture_age_ms"),
    *("safety.future_ms", "safety.no_chunk_ms", "safety.jump_factor", "safety.joint_state_ms"),
    *("safety.tracking_tolerance", "safety.tracking_ticks", "safety.bad_shape_latch"),
    *("safety.publisher_ms", "safety.estop_timeout_ms", "safety.camera_age_ms"),
    *("safety.camera_repeats", "safety.camera_dark_frames"),
)
"""What a number could switch off if it might be as large as anybody likes."""


@pytest.mark.parametrize("path", CHECKS)
def test_no_check_is_switched_off_by_a_large_number(path):
    section, key = path.split(".")
    default = getattr(getattr(from_parameters(GOOD, "here"), section.replace("camera_", "")), key)
    for factor in (20, 10**9):
        with pytest.raises(ConfigError) as caught:
            from_parameters(changed(path, factor * default), "robot.yaml")
        assert f"robot.yaml: {path} = " in str(caught.value)
        assert ", <= " in str(caught.value)
    assert from_parameters(changed(path, 2 * default), "robot.yaml")


def test_a_rate_of_joint_states_that_no_timeout_fits_is_refused():
    with pytest.raises(ConfigError, match=r"joint_state_rate = 2.0 .* >= 5"):
        from_parameters(changed("controller.joint_state_rate", 2.0), "robot.yaml")
    values = changed("controller.joint_state_rate", 5.0)
    values["safety"] = {"joint_state_ms": 400.0}
    assert from_parameters(values, "robot.yaml")


def test_a_simulated_arm_may_enable_by_itself():
    values = changed("safety.auto_enable", True)
    values["robot"]["simulated"] = True
    assert from_parameters(values, "here").safety.auto_enable


@pytest.mark.parametrize("simulated", [False, True])
@pytest.mark.parametrize("said", [None, False, True])
def test_only_a_simulated_arm_needs_no_emergency_stop_unless_the_file_says_so(simulated, said):
    """A robot file that said nothing was enabled without one."""
    values = changed("robot.simulated", simulated)
    values["safety"] = {} if said is None else {"estop_required": said}
    expected = not simulated if said is None else said
    assert from_parameters(values, "here").safety.estop_required is expected


def test_the_gain_for_effort_commands_may_be_there_and_limits_nothing():
    """A file of ros2_control's with this key could not be copied."""
    robot = from_parameters(changed("joint_limits.a.k_velocity", 20.0), "here")
    assert replace(robot.limits[0], k_velocity=0.0) == replace(robot.limits[1], k_velocity=0.0)
    field = {field.name: field for field in fields(JointLimit)}["k_velocity"]
    assert "not used" in field.metadata["description"]


def test_file_must_be_a_parameter_file(tmp_path):
    path = tmp_path / "r.yaml"
    for text, words in [
        ("a: [", "valid YAML"),
        ("a: 1", "'/**'"),
        ("/**: {x: 1}", "ros__parameters"),
        ("", "'/**'"),
        ("a: 2026-13-45", "valid YAML"),
    ]:
        path.write_text(text)
        with pytest.raises(ConfigError, match=words.replace("*", r"\*")):
            load(path)
    path.write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match="valid YAML"):
        load(path)
    with pytest.raises(ConfigError, match="readable"):
        load(tmp_path / "none.yaml")
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": GOOD}}))
    assert load(path).source == str(path)


LEAVES = [
    "joint_limits.a.min_position",
    "joint_limits.b.max_velocity",
    "robot.home",
    "robot.joints",
    "cameras.front.width",
    "model.bundle",
    "control",
    "safety",
    "joint_limits",
    "cameras.names",
]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.sampled_from(LEAVES), JUNK)
def test_junk_is_refused_or_accepted_but_never_an_accident(path, junk):
    try:
        robot = from_parameters(changed(path, junk), "f")
    except ConfigError:
        return
    for key in ("max_velocity", "max_acceleration", "min_position", "max_position"):
        assert all(math.isfinite(v) for v in robot.bound(key))


@pytest.mark.parametrize(
    ("update_rate", "rate", "fits"),
    [(10, 20, False), (15, 20, False), (20, 20, False), (30, 20, True), (100, 20, True),
     (50, 50, False), (200, 50, True), (10, 5, True)],
)  # fmt: skip
def test_a_path_must_begin_before_the_next_one_is_made(values, update_rate, rate, fits):
    values["controller"] = {"update_rate": float(update_rate)}
    values["control"] = {"rate": float(rate)}
    if fits:
        assert from_parameters(values, "r.yaml").controller.update_rate == update_rate
        return
    with pytest.raises(ConfigError, match=r"controller.update_rate = .* 1 / control.rate"):
        from_parameters(values, "r.yaml")


@pytest.mark.parametrize(
    ("update_rate", "horizon", "begins"),
    [(20.0, 40.0, 63.0), (20.0, 62.9, 63.0), (20.0, 63.0, None), (10.0, 100.0, 113.0),
     (1000.0, 19.9, 20.0), (1000.0, 20.0, None)],
)  # fmt: skip
def test_a_path_must_begin_within_its_horizon(values, update_rate, horizon, begins):
    """The publisher would refuse every path."""
    values["controller"] = {"update_rate": update_rate}
    values["control"] = {"rate": 5.0}
    values["safety"] = {"max_horizon_ms": horizon}
    if begins is None:
        assert from_parameters(values, "r.yaml").safety.max_horizon_ms == horizon
        return
    with pytest.raises(ConfigError, match=f"safety.max_horizon_ms = .* >= {begins:g}"):
        from_parameters(values, "r.yaml")


def test_a_grid_finer_than_a_millisecond_is_refused(values):
    values["safety"] = {"step_ms": 1.0}
    assert from_parameters(values, "r.yaml").safety.step_ms == 1.0
    values["safety"] = {"step_ms": 0.99}
    with pytest.raises(ConfigError, match=r"safety\.step_ms = 0\.99"):
        from_parameters(values, "r.yaml")


@pytest.mark.parametrize(
    ("key", "value"), [("lease_ms", 29.0), ("estop_timeout_ms", 79.0), ("lease_ms", 501.0)]
)
def test_timeouts_that_cannot_work_are_refused(values, key, value):
    values["safety"] = {key: value}
    with pytest.raises(ConfigError, match=f"safety.{key}"):
        from_parameters(values, "r.yaml")


def test_a_joint_with_position_limits_does_not_turn_endlessly(values):
    name = values["robot"]["joints"][0]
    values["joint_limits"][name]["angle_wraparound"] = True
    with pytest.raises(ConfigError, match="angle_wraparound = True"):
        from_parameters(values, "r.yaml")


@pytest.mark.parametrize(
    ("asked", "update_rate", "rate"),
    [(0.0, 200.0, 200.0), (0.0, 1000.0, 500.0), (1000.0, 1000.0, 1000.0), (100.0, 500.0, 100.0)],
)
def test_samples_come_at_the_controllers_rate_unless_asked_otherwise(
    values, asked, update_rate, rate
):
    values["controller"] = {"update_rate": update_rate, "command_rate": asked}
    assert from_parameters(values, "r.yaml").controller.period_ns == round(1e9 / rate)
