"""Workspace and collision in the robot file: each mistake is refused with file, key and value."""

import copy

import pytest
from test_robot_file import GOOD

from vla_common.core.errors import ConfigError
from vla_common.core.robot import from_parameters

LIMIT = '<limit lower="-9" upper="9" velocity="9" effort="9"/>'

SPACE = {
    "kinematics": {"elbow_frame": "link2", "exclude_pairs": ["a:b"]},
    "workspace": {
        "names": ["room", "floor"],
        "room": {"kind": "inside", "frames": ["tcp"], "low": [0, 0, 0], "high": [1, 1, 1]},
        "floor": {"kind": "plane", "frames": ["tcp"], "normal": [0, 0, 1]},
    },
    "collision": {
        "names": ["table", "pole"],
        "table": {"kind": "box", "center": [0, 0, 0], "size": [1, 1, 0.1]},
        "pole": {"kind": "capsule", "center": [1, 0, 0], "radius": 0.1, "length": 1.0},
    },
}


@pytest.fixture(scope="module", autouse=True)
def urdf(tmp_path_factory):
    """Write the URDF that the robot files of this module name."""
    joints = "".join(
        f'<joint name="{name}" type="revolute">{LIMIT}</joint>' for name in GOOD["robot"]["joints"]
    )
    links = "".join(f'<link name="{name}"/>' for name in ("base_link", "tcp", "link2"))
    path = tmp_path_factory.mktemp("urdf") / "arm.urdf"
    path.write_text(f'<robot name="r">{links}{joints}</robot>')
    SPACE["robot"] = {**GOOD["robot"], "urdf": str(path)}


def values(path=None, value=None):
    result = {**copy.deepcopy(GOOD), **copy.deepcopy(SPACE)}
    if path is None:
        return result
    place = result
    *keys, last = path.split(".")
    for key in keys:
        place = place[key]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return result


def test_the_sections_are_read_in_order():
    found = from_parameters(values(), "here").surroundings
    assert list(found.zones) == ["room", "floor"]
    assert found.zones["room"].high == (1.0, 1.0, 1.0)
    assert list(found.solids) == ["table", "pole"]
    assert found.kinematics.enabled


def test_a_robot_without_them_has_none():
    found = from_parameters(GOOD, "here").surroundings
    assert (found.zones, found.solids) == ({}, {})


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("kinematics.stop_distance", 0.05, "< slow_distance"),
        ("kinematics.slow_distance", float("nan"), "finite"),
        ("kinematics.slowest", 0.0, "> 0"),
        ("kinematics.enabled", "off", "true or false"),
        ("kinematics.enable", False, "did you mean 'enabled'"),
        ("kinematics.exclude_pairs", ["link1"], "link5:link7"),
        ("kinematics.exclude_pairs", ["link1:link1"], "two different names"),
        ("kinematics.exclude_pairs", ["a:b:c"], "two different names"),
        ("kinematics.exclude_pairs", [":b"], "two different names"),
        ("kinematics.fixed_joints", ["x"], "1 values"),
        ("workspace.names", [], "a list of names"),
        ("workspace.names", ["room", "room", "floor"], "differ"),
        ("workspace.names", ["room"], "unknown key"),
        ("workspace.floor", KeyError, "named in workspace.names"),
        ("workspace.room.low", [1, 0, 0], "each below high"),
        ("workspace.room.low", [0, 0], "length 3"),
        ("workspace.room.low", [0, 0, float("inf")], "finite"),
        ("workspace.room.high", KeyError, "required for inside"),
        ("workspace.room.frames", [], "at least one frame"),
        ("workspace.room.normal", [0, 0, 1], "not for a inside"),
        ("workspace.room.kind", "outside", "one of"),
        ("workspace.floor.normal", [0, 0, 0], "not all zero"),
        ("workspace.floor.normal", KeyError, "not all zero"),
        ("workspace.floor.low", [0, 0, 0], "not for a plane"),
        ("collision.table.size", [1, 1, 0], "> 0"),
        ("collision.table.size", KeyError, "> 0"),
        ("collision.table.radius", 0.1, "not for a box"),
        ("collision.table.center", KeyError, "required"),
        ("collision.pole.radius", 0.0, "> 0"),
        ("collision.pole.length", -1.0, ">= 0"),
        ("collision.pole.colour", "red", "unknown key"),
        ("robot.urdf", "", "needs one"),
        ("robot.urdf", KeyError, "needs one"),
    ],
)
def test_mistakes_are_refused_with_the_key(path, value, words):
    with pytest.raises(ConfigError) as caught:
        from_parameters(values(path, value), "robot.yaml")
    message = str(caught.value)
    assert message.startswith("robot.yaml: ")
    assert words in message
    assert path.rpartition(".")[0].split(".")[0] in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("urdf", ["", None])
@pytest.mark.parametrize("kinematics", [None, {}, {"enabled": True}, {"slow_distance": 0.1}])
def test_without_a_urdf_the_checks_are_not_off_in_silence(urdf, kinematics):
    bare = copy.deepcopy(GOOD)
    bare.pop("kinematics")
    bare |= {} if kinematics is None else {"kinematics": kinematics}
    bare["robot"] |= {} if urdf is None else {"urdf": urdf}
    with pytest.raises(ConfigError) as caught:
        from_parameters(bare, "robot.yaml")
    error = caught.value
    assert (error.where, error.key, error.value) == ("robot.yaml", "robot.urdf", "")
    assert "kinematics.enabled: false" in error.allowed
    assert len(str(error).splitlines()) == 1
    bare["kinematics"] = {**(kinematics or {}), "enabled": False}
    assert not from_parameters(bare, "robot.yaml").surroundings.kinematics.enabled
