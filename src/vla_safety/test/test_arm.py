"""What the URDF's joints do to distances: slides, mimic joints, fixed ones, links between."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
from space_world import HOME, RADIUS, _joint, _link, clearance_of, make_arm, urdf

from vla_common.core.errors import ConfigError
from vla_safety.core import clearance
from vla_safety.core.clearance import Probe
from vla_safety.core.kinematics import Arm


def robot_of(text, joints, home, push=(-2.9, 2.9)):
    """Return a robot with other commanded joints than the small arm's; ``push``: limits of that."""
    limits = {name: dict(make_arm().parameters["joint_limits"]["j0"]) for name in joints}
    for name in {"push"} & set(joints):
        limits[name].update(min_position=push[0], max_position=push[1])
    return make_arm(text, robot={"joints": joints, "home": home}, joint_limits=limits)


def slide(low, high):
    """Return a prismatic joint along the forearm, beyond its end, that carries a tool."""
    joint = _joint("push", "fore", "tool", "0.4 0 0", "1 0 0", "prismatic")
    joint = joint.replace('lower="-3" upper="3"', f'lower="{low}" upper="{high}"')
    return urdf(joint, _link("tool", 0.1, 0.05, 0.02, "x"))


def reach_of(found, name):
    return np.array(next(pair.reach for pair in found.pairs if pair.name == name))


# --- slides ------------------------------------------------------------------------------------
@pytest.mark.parametrize(("low", "high", "stroke"), [(-0.1, 0.5, 0.5), (-0.7, 0.2, 0.7)])
def test_what_a_slide_carries_reaches_as_far_as_the_slide_goes(low, high, stroke):
    robot = robot_of(slide(low, high), ["j0", "j1", "j2", "push"], [*HOME, 0.0], (low, high))
    reach = reach_of(clearance_of(robot), "tool:table")
    tool = 0.1 + 0.02  # its far end, along x from the slide
    arm = np.array([0.4 + 0.4, 0.4 + 0.4, 0.4]) + stroke + tool
    assert reach[3] == pytest.approx(1.0)
    assert (reach[:3] >= arm).all()
    assert (reach[:3] <= arm + 0.01).all()


def test_no_distance_changes_by_more_than_reach_allows_with_a_slide():
    robot = robot_of(
        slide(-0.2, 0.5), ["j0", "push", "j1", "j2"], [0.0, 0.0, *HOME[1:]], (-0.2, 0.5)
    )
    found = clearance_of(robot)
    probe, rng = Probe(found.arm), np.random.default_rng(5)
    reach = np.array([pair.reach for pair in found.pairs])
    moved = 0
    for _ in range(400):
        q = rng.uniform(-2.9, 2.9, 4)
        q[1] = rng.uniform(-0.2, 0.5)
        there = q + rng.normal(size=4) * 0.02
        there[1] = min(max(there[1], -0.2), 0.5)
        before, after = probe.survey(q), probe.survey(there)
        apart = (before > 0) & (after > 0)
        assert (np.abs(after - before) <= reach @ np.abs(there - q) + 1e-6)[apart].all()
        moved += apart.sum()
    assert moved > 1000


# --- mimic and fixed joints ----------------------------------------------------------------------
def gripper(mimic):
    return (
        _joint("slide", "hand", "finger", "0 0 0.1", "0 1 0", "prismatic"),
        _link("finger", 0.02, 0.0, 0.01, "x"),
        _joint("twin", "hand", "thumb", "0 0 0.1", "0 -1 0", "prismatic").replace(
            "</joint>", f"{mimic}</joint>"
        ),
        _link("thumb", 0.02, 0.0, 0.01, "x"),
    )


@pytest.mark.parametrize(
    ("mimic", "where"),
    [
        ('<mimic joint="slide"/>', 0.3),
        ('<mimic joint="slide" multiplier="-2"/>', -0.6),
        ('<mimic joint="slide" offset="0.1"/>', 0.4),
    ],
)
def test_a_mimic_joint_follows_as_the_urdf_says(mimic, where):
    robot = robot_of(urdf(*gripper(mimic)), ["j0", "j1", "j2", "slide"], [*HOME, 0.0])
    arm = Arm(robot, robot.urdf_path)
    q = arm.configurations(np.array([[0.0, 0.0, 0.0, 0.3]]))[0]
    assert q[arm.model.idx_qs[arm.model.getJointId("twin")]] == pytest.approx(where)


def test_a_mimic_joint_whose_leader_nobody_commands_must_be_named():
    text = urdf(*gripper('<mimic joint="slide" multiplier="2" offset="0.5"/>'))
    fixed = {"fixed_joints": ["slide"], "fixed_positions": [0.2]}
    with pytest.raises(ConfigError, match="to contain twin") as caught:
        clearance_of(make_arm(text, kinematics=fixed))
    assert (caught.value.where, caught.value.value) == ("small.yaml", ("slide",))
    fixed = {"fixed_joints": ["twin", "slide"], "fixed_positions": [0.1, 0.2]}
    arm = clearance_of(make_arm(text, kinematics=fixed)).arm
    q = arm.configurations(np.array([HOME]))[0]
    model = arm.model
    assert [q[model.idx_qs[model.getJointId(n)]] for n in ("slide", "twin")] == [0.2, 0.1]


def lid(kind, pose="0 0 0"):
    joint = _joint("lid", "ground", "cover", "0.5 0.2 0.1", "0 0 1", kind)
    joint = joint.replace('xyz="0.5 0.2 0.1"', f'xyz="0.5 0.2 0.1" rpy="{pose}"')
    return urdf(joint, _link("cover", 0.3, 0.2, 0.02, "x"))


@pytest.mark.parametrize("kind", ["revolute", "continuous"])
def test_a_joint_that_is_not_commanded_stands_where_the_robot_file_says(kind):
    """As one that is turned so in the URDF."""
    fixed = {"fixed_joints": ["lid"], "fixed_positions": [0.7]}
    found = clearance_of(make_arm(lid(kind), kinematics=fixed, workspace=None))
    same = clearance_of(make_arm(lid("fixed", "0 0 0.7"), workspace=None))
    q, compared = np.random.default_rng(6).uniform(-2.9, 2.9, (50, 3)), 0
    for row in q:
        mine, other = (
            {p.name: d for p, d in zip(c.pairs, Probe(c.arm).survey(row))} for c in (found, same)
        )
        assert set(mine) >= {"fore:cover", "upper:cover"} or set(mine) >= {"cover:fore"}
        for name in other:
            if "cover" in name and other[name] > 0:
                assert mine[name] == pytest.approx(other[name], abs=1e-6)
                compared += 1
    assert compared > 50


@pytest.mark.parametrize(
    ("text", "fixed", "says"),
    [("", "j1", "(none)"), (lid("revolute"), "j1", ": lid"), (lid("revolute"), "ild", ": lid")],
)
def test_only_joints_that_nobody_commands_may_be_fixed(text, fixed, says):
    with pytest.raises(ConfigError) as caught:
        clearance_of(make_arm(text, kinematics={"fixed_joints": [fixed], "fixed_positions": [0.0]}))
    error = caught.value
    assert (error.where, error.key, error.value) == (
        "small.yaml", "kinematics.fixed_joints", fixed)  # fmt: skip
    assert str(error).endswith(says)


@pytest.mark.parametrize("kind", ["floating", "planar"])
def test_a_joint_of_more_than_one_freedom_is_refused_by_name(kind):
    with pytest.raises(ConfigError) as caught:
        clearance_of(make_arm(lid(kind)))
    error = caught.value
    assert (error.where, error.key, error.value) == ("small.yaml", "robot.urdf", "lid")
    assert "revolute" in error.allowed


# --- links ---------------------------------------------------------------------------------------
def test_links_on_one_joint_and_on_neighbouring_joints_are_no_pairs():
    """A sleeve is fixed to the forearm; what is fixed does not move against what it is fixed to."""
    extra = (
        _joint("grip", "fore", "sleeve", "0 0 0", "0 0 1", "fixed"),
        _link("sleeve", 0.2, 0.15, 0.05, "x"),
    )
    names = {frozenset(p.name.split(":")) for p in clearance_of(make_arm(urdf(*extra))).pairs}
    assert frozenset(("sleeve", "table")) in names
    assert frozenset(("sleeve", "column")) in names
    assert not {frozenset(("sleeve", "fore")), frozenset(("sleeve", "upper"))} & names


def test_things_that_no_joint_moves_are_no_pairs():
    names = {pair.name for pair in clearance_of(make_arm()).pairs}
    assert not [name for name in names if "column" in name and "table" in name]


def test_a_mesh_is_looked_for_in_the_packages(tmp_path):
    (tmp_path / "parts").mkdir()
    corners = [(0, 0, 0), (0.2, 0, 0), (0, 0.02, 0), (0, 0, 0.02)]
    lines = [f"v {x} {y} {z}" for x, y, z in corners] + ["f 1 2 3", "f 1 2 4", "f 2 3 4"]
    (tmp_path / "parts" / "a.obj").write_text("\n".join(lines) + "\n")
    mesh = '<mesh filename="package://parts/a.obj"/>'
    link = f'<link name="tool"><collision><geometry>{mesh}</geometry></collision></link>'
    robot = make_arm(urdf(_joint("grip", "hand", "tool", "0 0 0", "0 0 1", "fixed"), link))
    found = clearance.load(robot, [tmp_path])
    assert "tool:table" in [pair.name for pair in found.pairs]
    with pytest.raises(ConfigError) as caught:
        clearance.load(robot)
    assert (caught.value.where, caught.value.key) == ("small.yaml", "robot.urdf")
    assert caught.value.value == str(robot.urdf_path)
    assert "a.obj" in str(caught.value)


# --- libraries -----------------------------------------------------------------------------------
def test_coal_goes_by_its_old_name_too(monkeypatch):
    import coal

    monkeypatch.setitem(sys.modules, "hppfcl", None)
    assert clearance_of().pairs
    monkeypatch.setitem(sys.modules, "coal", None)
    monkeypatch.setitem(sys.modules, "hppfcl", coal)
    assert clearance_of().pairs


@pytest.mark.parametrize(("version", "good"), [("2.7.0", False), ("3.0.0", True), ("10.1", True)])
def test_versions_of_pinocchio_are_numbers(monkeypatch, version, good):
    monkeypatch.setattr("pinocchio.__version__", version)
    if good:
        assert clearance_of().pairs
        return
    with pytest.raises(ConfigError) as caught:
        clearance_of()
    error = caught.value
    assert (error.where, error.key, error.value) == ("small.yaml", "kinematics.enabled", True)


def test_whatever_was_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "coal", None)
    monkeypatch.setitem(sys.modules, "hppfcl", types.ModuleType("hppfcl"))
    monkeypatch.setitem(sys.modules, "pinocchio", None)
    with pytest.raises(ConfigError, match="pinocchio"):
        clearance_of()


# --- names ---------------------------------------------------------------------------------------
ZONE = {"kind": "plane", "normal": [0.0, 0.0, 1.0], "offset": -5.0}


@pytest.mark.parametrize(
    ("changes", "key", "value", "says"),
    [
        ({"robot": {"base_frame": "base"}}, "robot.base_frame", "base", "column, fore, ground"),
        ({"workspace": {"names": ["r"], "r": {**ZONE, "frames": ["j0"]}}},  # a joint
         "workspace.r.frames", "j0", "hand"),
        ({"robot": {"base_frame": "fore"}}, "robot.base_frame", "fore", "does not move"),
        ({"workspace": {"names": ["r"], "r": {**ZONE, "frames": ["hnad"]}}},
         "workspace.r.frames", "hnad", "hand"),
        ({"workspace": {"names": ["r"], "r": {**ZONE, "frames": ["column"]}}},
         "workspace.r.frames", "column", "moves"),
        ({"kinematics": {"elbow_frame": ""}}, "kinematics.elbow_frame", "",
         "workspace.room.frames names the elbow"),
        ({"kinematics": {"exclude_pairs": ["fore:lid"]}}, "kinematics.exclude_pairs", "fore:lid",
         "column, fore, table, upper"),
        ({"robot": {"home": []}}, "robot.home", (), "tried out"),
        ({"robot": {"home": [0.0, 0.9, 0.4]}, "workspace": None}, "kinematics.exclude_pairs", [],
         "fore:table"),
    ],
)  # fmt: skip
def test_a_refusal_names_file_key_value_and_what_is_allowed(changes, key, value, says):
    with pytest.raises(ConfigError) as caught:
        clearance_of(make_arm(**changes))
    error = caught.value
    assert (error.where, error.key) == ("small.yaml", key)
    assert error.value == value
    assert says in str(error)
    assert "None" not in error.allowed


def test_what_is_too_near_at_home_is_said_in_metres():
    pitch = np.arcsin((0.4 - 0.04 - 0.01) / 0.4)  # the forearm level, 1 cm above the table
    with pytest.raises(ConfigError, match=r"fore:table \(0\.010 m\)"):
        clearance_of(make_arm(robot={"home": [0.0, pitch, -pitch]}, workspace=None))


def test_how_far_outside_home_is_is_said_to_a_tenth_of_a_millimetre():
    height = 0.4 + 0.4 * np.sin(0.9) - 0.4 * np.sin(0.3)  # of the TCP at HOME
    zone = {**ZONE, "offset": float(height) + 0.0123456, "frames": ["tcp"]}
    with pytest.raises(ConfigError) as caught:
        clearance_of(make_arm(workspace={"names": ["roof"], "roof": zone}))
    error = caught.value
    assert (error.where, error.key, error.value) == ("small.yaml", "workspace.roof", -0.0123)
    assert "of tcp from the boundary" in str(error)


def test_between_two_arms_the_reach_of_both_counts():
    other = (
        _joint("k0", "ground", "second", "0 -1.2 0.4", "0 0 1"),
        _link("second", 0.5, 0.3, RADIUS, "x"),
    )
    robot = robot_of(urdf(*other), ["j0", "j1", "j2", "k0"], [*HOME, 0.0])
    found = clearance_of(robot)
    (pair,) = [p for p in found.pairs if set(p.name.split(":")) == {"fore", "second"}]
    far = np.array([0.74, 0.74, 0.34, 0.55 + RADIUS])
    assert (pair.reach >= far).all()
    assert (pair.reach <= far + 0.02).all()
