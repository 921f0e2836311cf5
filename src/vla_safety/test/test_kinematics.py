"""The model of the arm: which joint moves what, and what is refused when it is loaded."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from space_world import CASE, HOME, ROOM, _joint, _link, clearance_of, make_arm, urdf

from vla_common.core.errors import ConfigError
from vla_safety.core import clearance, shapes
from vla_safety.core.kinematics import Arm
from vla_safety.core.probe import Probe


def refusal(text="", **changes):
    with pytest.raises(ConfigError) as caught:
        clearance_of(make_arm(text, **changes))
    assert len(str(caught.value).splitlines()) == 1
    return caught.value


# --- without Pinocchio -------------------------------------------------------------------------
def test_without_pinocchio_the_gate_refuses_and_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pinocchio", None)  # import raises ImportError
    error = refusal()
    assert error.key == "kinematics.enabled"
    assert "pin from the Python package index" in str(error)
    assert "kinematics.enabled: false" in str(error)


def test_without_coal_likewise(monkeypatch):
    monkeypatch.setitem(sys.modules, "coal", None)
    monkeypatch.setitem(sys.modules, "hppfcl", None)
    assert refusal().key == "kinematics.enabled"


def test_an_old_pinocchio_is_refused(monkeypatch):
    monkeypatch.setattr("pinocchio.__version__", "2.6.20")
    assert "2.6.20 is too old" in str(refusal())


def test_switched_off_by_name_nothing_is_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "pinocchio", None)
    robot = make_arm(kinematics={"enabled": False})
    assert clearance.load(robot) is None


def test_without_a_urdf_the_checks_must_be_switched_off_by_name():
    """They were off in silence: only a warning in diagnostics told."""
    nowhere = {"robot": {"urdf": ""}, "workspace": None, "collision": None}
    with pytest.raises(ConfigError) as caught:
        make_arm(**nowhere)
    assert (caught.value.key, caught.value.value) == ("robot.urdf", "")
    assert "kinematics.enabled: false" in caught.value.allowed
    assert clearance.load(make_arm(**nowhere, kinematics={"enabled": False})) is None


def test_a_robot_that_lost_its_urdf_is_not_taken_for_one_without_checks():
    with pytest.raises(ConfigError) as caught:
        clearance.load(replace(make_arm(), urdf_path=None))
    assert caught.value.key == "robot.urdf"


# --- names and postures ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"robot": {"base_frame": "base"}}, "robot.base_frame", "a link of "),
        ({"robot": {"base_frame": "fore"}}, "robot.base_frame", "does not move"),
        ({"kinematics": {"elbow_frame": ""}}, "kinematics.elbow_frame", "names the elbow"),
        ({"kinematics": {"elbow_frame": "knee"}}, "workspace.room.frames", "'knee'"),
        ({"kinematics": {"exclude_pairs": ["fore:tabel"]}}, "kinematics.exclude_pairs", "'tabel'"),
        ({"kinematics": {"fixed_joints": ["j9"], "fixed_positions": [0.0]}},
         "kinematics.fixed_joints", "'j9'"),
        ({"workspace": {"names": ["r"], "r": {**ROOM, "frames": ["column"]}}},
         "workspace.r.frames", "a link that moves"),
        ({"workspace": {"names": ["r"], "r": {**ROOM, "frames": ["hnad"]}}},
         "workspace.r.frames", "a link of the URDF"),
        ({"workspace": {"names": ["r"], "r": {**ROOM, "high": [0.1, 0.1, 0.1]}}},
         "workspace.r", "at robot.home"),
        ({"collision": {"names": ["wall"],
                        "wall": {"kind": "box", "center": [0.6, 0, 0.6], "size": [0.1, 1, 1]}}},
         "kinematics.exclude_pairs", "fore:wall"),
        ({"robot": {"home": []}}, "robot.home", "required"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_key(changes, key, words):
    error = refusal(**changes)
    assert error.key == key
    assert words in str(error)


def test_a_joint_that_nobody_commands_must_be_named():
    lid = _joint("lid", "ground", "cover", "0 0.9 0", "0 0 1")
    text = urdf(lid, _link("cover", 0.1, 0.05, 0.1, "x"))
    error = refusal(text)
    assert error.key == "kinematics.fixed_joints"
    assert "lid" in str(error)
    fixed = make_arm(text, kinematics={"fixed_joints": ["lid"], "fixed_positions": [0.5]})
    assert clearance_of(fixed).pairs


@pytest.mark.parametrize("text", ["<robot", "<robot name='x'/>", "<sdf/>"])
def test_a_urdf_that_is_none_is_refused(text):
    refusal(text)


def test_excluded_and_adjacent_pairs_are_not_checked():
    robot = make_arm(kinematics={"exclude_pairs": ["table:fore", "column:upper"]})
    names = {pair.name for pair in clearance_of(robot).pairs}
    assert {"upper:table", "column:fore"} <= names
    assert not {"fore:table", "column:upper", "upper:fore"} & names
    alone = make_arm(kinematics={"self_collision": False})
    assert not any(p.name == "column:fore" for p in clearance_of(alone).pairs)


# --- joints ------------------------------------------------------------------------------------
EXTRA = (
    _joint("slide", "hand", "finger", "0 0 0.1", "0 1 0", "prismatic"),
    _link("finger", 0.02, 0.0, 0.01, "x"),
    _joint("twin", "hand", "thumb", "0 0 0.1", "0 -1 0", "prismatic").replace(
        "</joint>", '<mimic joint="slide" multiplier="2" offset="0.5"/></joint>'
    ),
    _link("thumb", 0.02, 0.0, 0.01, "x"),
    _joint("spin", "ground", "fan", "0 2 0", "0 0 1", "continuous"),
    _link("fan", 0.5, 0.3, 0.02, "x"),
)


def test_mimic_continuous_and_slides_stand_where_they_should():
    limit = make_arm().parameters["joint_limits"]["j0"]
    names = ["spin", "j0", "slide", "j1", "j2"]  # another order than the URDF's
    robot = make_arm(
        urdf(*EXTRA),
        robot={"joints": names, "home": [0.0, 0.0, 0.0, -0.9, 1.2]},
        joint_limits={name: dict(limit) for name in names},
    )
    arm = Arm(robot, robot.urdf_path)
    q = arm.configurations(np.array([[2.5, 0.1, 0.3, 0.2, -0.4]]))[0]
    model = arm.model

    def at(name):
        start = model.idx_qs[model.getJointId(name)]
        return q[start : start + model.joints[model.getJointId(name)].nq]

    assert at("spin") == pytest.approx([np.cos(2.5), np.sin(2.5)])
    assert [at(n)[0] for n in ("j0", "slide", "j1", "j2")] == [0.1, 0.3, 0.2, -0.4]
    assert at("twin") == pytest.approx([2 * 0.3 + 0.5])
    twin = model.getJointId("twin")
    assert arm.reach(twin, 0.1, [twin]) == pytest.approx([0, 0, 2.0, 0, 0])


def test_zones_and_objects_are_in_the_base_frame():
    """The same arm on a base that is turned and lifted has the same distances."""
    lifted = urdf().replace(
        '<link name="ground"/>',
        '<link name="world"/><joint name="lift" type="fixed"><parent link="world"/>'
        '<child link="ground"/><origin xyz="1 2 3" rpy="0.3 0.2 0.1"/></joint>'
        '<link name="ground"/>',
    )
    found = [
        Probe(clearance_of(make_arm(text)).arm).survey(np.array(HOME)) for text in (urdf(), lifted)
    ]
    assert found[0] == pytest.approx(found[1], abs=1e-9)


# --- shapes ------------------------------------------------------------------------------------
def test_a_capsule_around_points_holds_them_all_and_is_not_large():
    rng = np.random.default_rng(2)
    for _ in range(200):
        points = rng.normal(size=(int(rng.integers(4, 60)), 3)) * rng.uniform(0.01, 1.0, 3) + 5.0
        radius, length, pose = shapes.enclosing_capsule(points)
        local = (points - pose[:3, 3]) @ pose[:3, :3]
        core = np.clip(local[:, 2], -length / 2, length / 2)
        away = np.linalg.norm(local - np.column_stack((0 * local[:, :2], core)), axis=1)
        assert (away <= radius + 1e-9).all()
        assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)
        assert length + 2 * radius <= 2.5 * np.linalg.norm(np.ptp(points, axis=0))


def test_a_mesh_becomes_a_capsule(tmp_path):
    corners = [(x, y, z) for x in (0, 0.2) for y in (0, 0.02) for z in (0, 0.02)]
    faces = [(1, 2, 3), (2, 3, 4), (5, 6, 7), (6, 7, 8), (1, 5, 2), (3, 7, 4)]
    text = "".join(f"v {x} {y} {z}\n" for x, y, z in corners)
    (tmp_path / "block.obj").write_text(text + "".join(f"f {a} {b} {c}\n" for a, b, c in faces))
    mesh = f'<mesh filename="{tmp_path}/block.obj" scale="2 2 2"/>'
    link = f'<link name="tool"><collision><geometry>{mesh}</geometry></collision></link>'
    text = urdf(_joint("grip", "hand", "tool", "0 0 0", "0 0 1", "fixed"), link)
    found = clearance_of(make_arm(text))
    tool = next(o for o in found.arm.geometry.geometryObjects if o.name == "tool_0").geometry
    assert type(tool).__name__ == "Capsule"
    assert tool.radius == pytest.approx(0.02 * np.sqrt(2), abs=1e-3)
    assert 2 * tool.halfLength == pytest.approx(0.4, abs=1e-3)


def test_a_mesh_that_is_missing_is_refused():
    link = '<link name="tool"><collision><geometry><mesh filename="package://no/a.stl"/></geometry></collision></link>'  # fmt: skip  # noqa: E501
    text = urdf(_joint("grip", "hand", "tool", "0 0 0", "0 0 1", "fixed"), link)
    assert refusal(text).key == "robot.urdf"


def test_a_point_in_a_keep_out_zone_is_outside_by_its_depth():
    found = clearance_of()
    column = [p.name for p in found.pairs].index("tcp:workspace.case")
    centre = (np.array(CASE["low"]) + CASE["high"]) / 2
    assert centre[1] > 0.5
    q = np.array([np.arctan2(centre[1], centre[0]), 0.0, 0.0])
    distance = Probe(found.arm).survey(q)[column]
    tip = 0.8 * np.array([np.cos(q[0]), np.sin(q[0])])
    assert distance == pytest.approx(max(tip[0] - 0.6, tip[1] - 0.7, 0.3 - tip[0]), abs=0.06)
