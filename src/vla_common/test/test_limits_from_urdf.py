"""Limits from the URDF: what a robot file may leave out, and that it is never laxer."""

import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_common.core.errors import ConfigError
from vla_common.core.robot import from_parameters, load

URDF = """
<robot name="r">
  <link name="base"/><link name="tip"/>
  <joint name="a" type="revolute">
    <limit lower="-2" upper="2" velocity="3" effort="40"/>
    <safety_controller soft_lower_limit="-1.8" soft_upper_limit="1.9" k_position="20"/>
  </joint>
  <joint name="w" type="continuous"><limit velocity="4" effort="5"/></joint>
  <joint name="g" type="prismatic"><limit lower="0" upper="0.04" velocity="0.2" effort="0"/></joint>
  <joint name="g2" type="prismatic">
    <limit lower="0" upper="0.04" velocity="0.2" effort="0"/><mimic joint="g"/>
  </joint>
  <joint name="free" type="continuous"/>
</robot>
"""
LEAST = {"has_acceleration_limits": True, "max_acceleration": 5.0}
JOINTS = ("a", "w", "g")


def values_of(folder):
    (folder / "arm.urdf").write_text(URDF)
    frames = {"base_frame": "base", "tcp_frame": "tip"}
    return {
        "robot": {"name": "r", "joints": list(JOINTS), **frames, "urdf": str(folder / "arm.urdf")},
        "joint_limits": {name: dict(LEAST) for name in JOINTS},
        "cameras": {"names": ["front"], "front": {"topic": "/c", "width": 64, "height": 64}},
        "model": {"bundle": "reach"},
    }


@pytest.fixture
def arm(tmp_path):
    return values_of(tmp_path)


def limits(values):
    robot = from_parameters(values, "arm.yaml")
    return dict(zip(robot.joints, robot.limits))


def refusal(values):
    with pytest.raises(ConfigError) as caught:
        from_parameters(values, "arm.yaml")
    assert len(str(caught.value).splitlines()) == 1
    return caught.value


def test_what_is_left_out_comes_from_the_urdf(arm):
    found = limits(arm)
    a = found["a"]
    assert (a.has_position_limits, a.min_position, a.max_position) == (True, -2.0, 2.0)
    assert (a.has_velocity_limits, a.max_velocity) == (True, 3.0)
    assert (a.has_effort_limits, a.max_effort) == (True, 40.0)
    assert (a.has_soft_limits, a.soft_lower_limit, a.soft_upper_limit) == (True, -1.8, 1.9)
    assert a.k_position == 20.0
    assert not a.has_jerk_limits
    assert found["w"].angle_wraparound
    assert not found["w"].has_position_limits
    assert not found["g"].has_effort_limits, "0 is how exporters say nothing"


def test_a_part_left_out_comes_from_the_urdf(arm):
    arm["joint_limits"]["a"]["min_position"] = -1.0
    a = limits(arm)["a"]
    assert (a.min_position, a.max_position) == (-1.0, 2.0)
    assert (a.soft_lower_limit, a.soft_upper_limit) == (-1.0, 1.9), "within the narrower range"
    arm["joint_limits"]["a"]["max_position"] = 1.0
    a = limits(arm)["a"]
    assert (a.soft_lower_limit, a.soft_upper_limit) == (-1.0, 1.0)


def test_stricter_than_the_urdf_is_taken(arm):
    mine = {"max_velocity": 1.0, "max_effort": 3.0, "soft_upper_limit": 1.0, "k_position": 2.0}
    arm["joint_limits"]["a"].update(mine)
    a = limits(arm)["a"]
    assert {key: getattr(a, key) for key in mine} == mine


def test_a_continuous_joint_may_be_bounded_and_no_longer_wraps(arm):
    arm["joint_limits"]["w"].update(has_position_limits=True, min_position=-3.0, max_position=3.0)
    assert not limits(arm)["w"].angle_wraparound


@pytest.mark.parametrize(
    ("key", "value", "urdf"),
    [
        ("min_position", -2.1, "-2"),
        ("max_position", 2.1, "2"),
        ("max_velocity", 3.1, "3"),
        ("max_effort", 41.0, "40"),
        ("soft_lower_limit", -1.81, "-1.8"),
        ("soft_upper_limit", 1.91, "1.9"),
        ("k_position", 21.0, "20"),
        ("has_soft_limits", False, "[-1.8, 1.9]"),
        ("has_effort_limits", False, "40"),
    ],
)
def test_laxer_than_the_urdf_is_refused_with_both_values(arm, key, value, urdf):
    arm["joint_limits"]["a"][key] = value
    error = refusal(arm)
    assert (error.where, error.key, error.value) == ("arm.yaml", f"joint_limits.a.{key}", value)
    assert urdf in error.allowed
    assert arm["robot"]["urdf"] in error.allowed


def test_a_bounded_joint_cannot_be_declared_endless(arm):
    arm["joint_limits"]["a"].update(has_position_limits=False, angle_wraparound=True)
    assert refusal(arm).key == "joint_limits.a.has_position_limits"


def test_rounding_is_not_laxer(arm):
    arm["joint_limits"]["a"]["max_position"] = 2.0 + 5e-7
    limits(arm)
    arm["joint_limits"]["a"]["max_position"] = 2.0 + 5e-6
    refusal(arm)


@pytest.mark.parametrize("key", ["has_acceleration_limits", "max_acceleration"])
def test_acceleration_is_required_since_no_urdf_has_it(arm, key):
    del arm["joint_limits"]["a"][key]
    error = refusal(arm)
    assert error.key == f"joint_limits.a.{key}"
    assert "a URDF has no acceleration" in error.allowed


def test_a_joint_without_an_entry_is_told_what_it_needs(arm):
    del arm["joint_limits"]["g"]
    error = refusal(arm)
    assert error.key == "joint_limits.g"
    assert "acceleration" in error.allowed


def test_no_velocity_here_and_none_there(arm):
    arm["robot"]["joints"].append("free")
    arm["joint_limits"]["free"] = dict(LEAST)
    error = refusal(arm)
    assert error.key == "joint_limits.free.max_velocity"
    assert "arm.urdf" in error.allowed
    arm["joint_limits"]["free"].update(has_velocity_limits=True, max_velocity=1.0)
    assert limits(arm)["free"].max_velocity == 1.0


@pytest.mark.parametrize(
    ("name", "words"), [("elbow", "a moving joint of"), ("g2", "mimics g and is not commanded")]
)
def test_a_joint_that_cannot_be_commanded(arm, name, words):
    arm["robot"]["joints"][0] = name
    arm["joint_limits"][name] = arm["joint_limits"].pop("a")
    error = refusal(arm)
    assert (error.key, error.value) == ("robot.joints", name)
    assert words in error.allowed
    assert "a, w, g, free" in error.allowed


def test_home_is_checked_against_the_urdf(arm):
    arm["robot"]["home"] = [0.0, 0.0, 0.05]
    assert "within [0, 0.04] for g" in refusal(arm).allowed


@pytest.mark.parametrize("key", ["base_frame", "tcp_frame"])
def test_a_frame_that_is_no_link(arm, key):
    arm["robot"][key] = "finger"
    error = refusal(arm)
    assert (error.key, error.value) == (f"robot.{key}", "finger")
    assert "base, tip" in error.allowed


def test_soft_limits_that_miss_the_position_limits(arm):
    arm["joint_limits"]["a"].update(min_position=1.95, max_position=2.0)
    error = refusal(arm)
    assert error.key == "joint_limits.a.min_position"
    assert "[-1.8, 1.9]" in error.allowed


@pytest.mark.parametrize("junk", [None, 3, "fast", [1.0]])
def test_junk_in_place_of_limits(arm, junk):
    arm["joint_limits"]["a"] = junk
    assert refusal(arm).key == "joint_limits.a"


def write(folder, values):
    path = folder / "arm.yaml"
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": values}}))
    return path


def test_a_relative_path_starts_at_the_robot_file(arm, tmp_path, monkeypatch):
    arm["robot"]["urdf"] = "arm.urdf"
    path = write(tmp_path, arm)
    monkeypatch.chdir("/")
    assert load(path).urdf_path == tmp_path / "arm.urdf"
    error = refusal(arm)
    assert "an absolute path" in error.allowed, "parameters of a node have no folder"


def test_a_home_folder_that_nobody_has(arm, tmp_path):
    arm["robot"]["urdf"] = "~nobody-of-this-name/arm.urdf"
    with pytest.raises(ConfigError, match=r"robot\.urdf .* No such file"):
        load(write(tmp_path, arm))


def test_a_urdf_of_a_package(arm, tmp_path):
    arm["robot"]["urdf"] = "package://my_arm/arm.urdf"
    assert load(write(tmp_path, arm), {"my_arm": tmp_path}.__getitem__).limits
    error = refusal(arm)
    assert (error.key, error.value) == ("robot.urdf", "package://my_arm/arm.urdf")


@pytest.mark.parametrize("uri", ["/no/such/arm.urdf", "/", "~nobody-of-this-name/arm.urdf"])
def test_a_urdf_that_cannot_be_read(arm, uri):
    arm["robot"]["urdf"] = uri
    error = refusal(arm)
    assert (error.key, error.value) == ("robot.urdf", uri)


def test_without_a_urdf_everything_stands_in_the_file(arm):
    arm["robot"]["urdf"] = ""
    assert refusal(arm).key == "joint_limits.a.has_position_limits"


KEYS = {
    "has_position_limits": st.booleans(),
    "min_position": st.floats(-3, 3),
    "max_position": st.floats(-3, 3),
    "has_velocity_limits": st.booleans(),
    "max_velocity": st.floats(-1, 5),
    "has_soft_limits": st.booleans(),
    "soft_lower_limit": st.floats(-3, 3),
    "soft_upper_limit": st.floats(-3, 3),
    "k_position": st.floats(-1, 30),
    "angle_wraparound": st.booleans(),
}
BOUNDS = {"a": (-2.0, 2.0, 3.0), "g": (0.0, 0.04, 0.2)}


@settings(deadline=None)
@given(st.sampled_from(sorted(BOUNDS)), st.fixed_dictionaries({}, optional=KEYS))
def test_whatever_a_file_adds_no_limit_is_laxer_than_the_urdf(tmp_path_factory, joint, given_keys):
    values = values_of(tmp_path_factory.getbasetemp())
    values["joint_limits"][joint].update(given_keys)
    try:
        found = limits(values)[joint]
    except ConfigError as error:
        assert error.key.startswith(f"joint_limits.{joint}.")
        return
    low, high, speed = BOUNDS[joint]
    assert found.has_position_limits
    assert low - 1e-6 <= found.min_position < found.max_position <= high + 1e-6
    assert 0.0 < found.max_velocity <= speed + 1e-6
    assert not found.angle_wraparound
    if joint == "a":
        assert found.has_soft_limits
        assert -1.8 - 1e-6 <= found.soft_lower_limit < found.soft_upper_limit <= 1.9 + 1e-6
        assert 0.0 < found.k_position <= 20.0 + 1e-6
    for key, value in given_keys.items():
        if isinstance(value, float):
            assert math.isclose(getattr(found, key), value), "what the file says is taken"
