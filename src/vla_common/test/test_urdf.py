"""The URDF reader: what a joint says, and that a bad file is refused with file and place."""

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_common.core import urdf
from vla_common.core.errors import ConfigError

LIMIT = '<limit lower="-1.5" upper="2.5" velocity="3" effort="40"/>'


def joint(inside=LIMIT, name="a", kind="revolute"):
    return f'<joint name="{name}" type="{kind}">{inside}</joint>'


def write(folder: Path, *inside: str) -> Path:
    path = folder / "arm.urdf"
    path.write_text(f'<robot name="r"><link name="base"/>{"".join(inside)}</robot>')
    return path


def only(folder: Path, *inside: str) -> urdf.UrdfJoint:
    return urdf.read(write(folder, *inside)).joint("a")


def refusal(folder: Path, *inside: str) -> ConfigError:
    path = write(folder, *inside)
    with pytest.raises(ConfigError) as caught:
        urdf.read(path).joint("a")
    assert caught.value.where == str(path)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value


def test_limits_and_soft_limits_are_read(tmp_path):
    safety = (
        '<safety_controller soft_lower_limit="-1.4" soft_upper_limit="2.4" k_position="20" '
        'k_velocity="0"/>'
    )
    found = only(tmp_path, joint(LIMIT + safety))
    assert (found.lower, found.upper, found.velocity, found.effort) == (-1.5, 2.5, 3.0, 40.0)
    assert (found.soft_lower, found.soft_upper, found.k_position) == (-1.4, 2.4, 20.0)
    assert not found.continuous


def test_a_bound_that_is_left_out_is_0_as_the_format_says(tmp_path):
    assert only(tmp_path, joint('<limit upper="0.04" velocity="1"/>')).lower == 0.0
    assert only(tmp_path, joint('<limit lower="-2" velocity="1"/>')).upper == 0.0


@pytest.mark.parametrize("inside", ["", '<limit velocity="2" effort="0"/>', LIMIT])
def test_a_continuous_joint_has_no_bounds(tmp_path, inside):
    found = only(tmp_path, joint(inside, kind="continuous"))
    assert found.continuous
    assert (found.lower, found.upper) == (None, None)


def test_soft_limits_of_an_endless_joint_are_left(tmp_path):
    """They would be within nothing."""
    safety = '<safety_controller soft_lower_limit="-1" soft_upper_limit="1" k_position="20"/>'
    found = only(tmp_path, joint(safety, kind="continuous"))
    assert (found.soft_lower, found.soft_upper) == (None, None)


def test_what_says_nothing_is_none(tmp_path):
    inside = LIMIT.replace('effort="40"', 'effort="0"') + '<safety_controller k_velocity="1"/>'
    found = only(tmp_path, joint(inside))
    assert (found.effort, found.soft_lower, found.soft_upper, found.k_position) == (None,) * 4


def test_mimics_and_fixed_joints_are_not_commanded(tmp_path):
    follower = joint(LIMIT + '<mimic joint="a" multiplier="-1"/>', "b")
    found = urdf.read(write(tmp_path, joint(), follower, joint("", "c", "fixed")))
    assert found.moving == ("a",)
    assert found.mimics("b") == "a"
    assert found.mimics("a") is None
    for name in ("b", "c", "d"):
        with pytest.raises(LookupError):
            found.joint(name)


@pytest.mark.parametrize(
    ("inside", "place", "words"),
    [
        ("", "joint a.limit", "required of a revolute or prismatic joint"),
        ('<limit lower="1" upper="1" velocity="1"/>', "joint a.limit.lower", "below upper"),
        ('<limit lower="2" upper="1" velocity="1"/>', "joint a.limit.lower", "which is 1"),
        ('<limit velocity="1"/>', "joint a.limit.lower", "below upper"),
        ('<limit lower="nan" upper="1" velocity="1"/>', "joint a.limit.lower", "finite"),
        ('<limit lower="-1" upper="inf" velocity="1"/>', "joint a.limit.upper", "finite"),
        ('<limit lower="-1" upper="${pi}" velocity="1"/>', "joint a.limit.upper", "finite"),
        ('<limit lower="-1" upper="1"/>', "joint a.limit.velocity", "required"),
        ('<limit lower="-1" upper="1" velocity="0"/>', "joint a.limit.velocity", "exporters"),
        ('<limit lower="-1" upper="1" velocity="-2"/>', "joint a.limit.velocity", "> 0"),
        ('<limit lower="-1" upper="1" velocity="NaN"/>', "joint a.limit.velocity", "finite"),
        (LIMIT.replace("40", "-40"), "joint a.limit.effort", ">= 0"),
        (
            LIMIT + '<safety_controller soft_lower_limit="1" soft_upper_limit="-1"/>',
            "joint a.safety_controller.soft_lower_limit",
            "below soft_upper_limit",
        ),
        (
            LIMIT + '<safety_controller k_position="-1"/>',
            "joint a.safety_controller.k_position",
            ">= 0",
        ),
    ],
)
def test_a_bad_limit_is_refused_with_its_place(tmp_path, inside, place, words):
    error = refusal(tmp_path, joint(inside))
    assert error.key == place
    assert words in error.allowed


def test_a_name_used_twice_is_refused(tmp_path):
    assert refusal(tmp_path, joint(), joint()).value == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "valid XML"),
        ("<robot>", "valid XML"),
        ("<sdf/>", "<robot>"),
        ('<?xml version="1.0" encoding="klingon"?><robot/>', "XML"),
        (
            '<robot xmlns:xacro="http://www.ros.org/wiki/xacro"><xacro:arm/></robot>',
            "make a URDF of it first",
        ),
    ],
)
def test_what_is_no_urdf_is_refused(tmp_path, text, words):
    path = tmp_path / "arm.urdf"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        urdf.read(path)
    assert caught.value.where == str(path)
    assert words in caught.value.allowed


def test_a_package_uri_is_found_by_its_share_folder(tmp_path):
    found = urdf.resolve_package("package://my_arm/urdf/arm.urdf", {"my_arm": tmp_path}.__getitem__)
    assert found == tmp_path / "urdf" / "arm.urdf"
    with pytest.raises(LookupError):
        urdf.resolve_package("package://no_such_package/arm.urdf")


NUMBER = (
    st.floats(-10, 10).map(repr) | st.sampled_from(["", "0", "nan", "inf", "-inf", "1e999", "x"])
).flatmap(lambda text: st.none() | st.just(text))


@settings(deadline=None)
@given(
    kind=st.sampled_from(urdf.MOVING),
    values=st.fixed_dictionaries(
        {
            ("limit", "lower"): NUMBER,
            ("limit", "upper"): NUMBER,
            ("limit", "velocity"): NUMBER,
            ("limit", "effort"): NUMBER,
            ("safety_controller", "soft_lower_limit"): NUMBER,
            ("safety_controller", "soft_upper_limit"): NUMBER,
            ("safety_controller", "k_position"): NUMBER,
        }
    ),
)
def test_whatever_the_numbers_a_joint_that_is_read_can_limit(tmp_path_factory, kind, values):
    inside = ""
    for tag in ("limit", "safety_controller"):
        attributes = [f'{k}="{v}"' for (t, k), v in values.items() if t == tag and v is not None]
        inside += f"<{tag} {' '.join(attributes)}/>" if attributes else ""
    path = write(tmp_path_factory.getbasetemp(), joint(inside, kind=kind))
    try:
        found = urdf.read(path).joint("a")
    except ConfigError as error:
        assert error.where == str(path)
        assert error.key.startswith("joint a.")
        return
    numbers = [getattr(found, key) for key in found.__slots__ if key != "name"]
    assert all(value is None or math.isfinite(value) for value in numbers)
    if kind == "continuous":
        assert found.lower is None and found.upper is None
    else:
        assert found.lower < found.upper
        assert found.velocity > 0.0
    assert (found.soft_lower is None) == (found.soft_upper is None)
    assert found.soft_lower is None or found.soft_lower < found.soft_upper
    assert found.k_position is None or found.k_position > 0.0
