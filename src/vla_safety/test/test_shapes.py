"""Shapes: every kind of zone and object has the distance that its numbers say; and reach is tight.

The arm's points are those of :func:`space_world._points`; the rest is computed here from the
robot file's numbers alone.
"""

from __future__ import annotations

import numpy as np
import pytest
from space_world import FORE, RADIUS, _along, _joint, _points, _to_box, clearance_of, make_arm, urdf

from vla_safety.core import shapes
from vla_safety.core.clearance import Probe

RPY = (0.4, -0.3, 1.1)
CENTER = np.array([0.45, -0.2, 0.35])


def turned(roll, pitch, yaw):
    """Return the rotation of fixed-axis roll, pitch, yaw, written out."""
    cr, sr, cp, sp = np.cos(roll), np.sin(roll), np.cos(pitch), np.sin(pitch)
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    cy, sy = np.cos(yaw), np.sin(yaw)
    return np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]]) @ about_y @ about_x


def local(p):
    """Return points in the frame of an object at CENTER, turned by RPY."""
    return (p - CENTER) @ turned(*RPY)


def to_core(p):
    """Return the distance of points to the core of a capsule of length 0.5 along its z."""
    q = local(p)
    return np.linalg.norm(
        q - np.column_stack((0 * q[:, :2], np.clip(q[:, 2], -0.25, 0.25))), axis=1
    )


OBJECTS = {
    "box": ({"size": [0.2, 0.3, 0.1]},
            lambda p: _to_box(local(p), [-0.1, -0.15, -0.05], [0.1, 0.15, 0.05])),
    "sphere": ({"radius": 0.12}, lambda p: np.linalg.norm(p - CENTER, axis=1) - 0.12),
    "capsule": ({"radius": 0.07, "length": 0.5}, lambda p: to_core(p) - 0.07),
    "half_space": ({}, lambda p: local(p)[:, 2]),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(OBJECTS))
def test_an_object_is_as_far_away_as_its_numbers_say(kind):
    given, distance = OBJECTS[kind]
    thing = {"kind": kind, "center": CENTER.tolist(), "rpy": list(RPY), **given}
    home = [-2.0, -0.9, 1.2] if kind != "half_space" else [0.0, -1.5, 0.2]
    robot = make_arm(
        collision={"names": ["thing"], "thing": thing}, workspace=None, robot={"home": home},
        kinematics={"exclude_pairs": ["upper:thing", "column:thing"]},
    )  # fmt: skip
    found = clearance_of(robot)
    index = [pair.name for pair in found.pairs].index("fore:thing")
    q = np.random.default_rng(3).uniform(-2.9, 2.9, (300, 3))
    p = _points(q)
    wanted = _along(p["fore0"], p["fore1"], distance) - RADIUS
    probe = Probe(found.arm)
    mine = np.array([probe.at(row, [index])[0] for row in q])
    apart = wanted > 1e-3
    assert apart.sum() > 20
    assert mine[apart] == pytest.approx(wanted[apart], abs=1e-5)
    assert (mine[~apart] < 2e-3).all()


ZONES = {
    "plane": ({"normal": [0.0, -3.0, 4.0], "offset": 0.2},
              lambda p: (-0.6 * p[:, 1] + 0.8 * p[:, 2]) - 0.2),
    "inside": ({"low": [-0.5, -0.7, 0.1], "high": [0.7, 0.8, 0.9]},
               lambda p: -_to_box(p, [-0.5, -0.7, 0.1], [0.7, 0.8, 0.9])),
    "keep_out": ({"low": [-0.2, 0.1, 0.1], "high": [0.9, 0.5, 0.3]},
                 lambda p: _to_box(p, [-0.2, 0.1, 0.1], [0.9, 0.5, 0.3])),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(ZONES))
def test_a_frame_is_as_far_from_a_boundary_as_its_numbers_say(kind):
    """The normal of a plane may be of any length."""
    given, distance = ZONES[kind]
    zone = {"kind": kind, "frames": ["tcp"], **given}
    robot = make_arm(workspace={"names": ["zone"], "zone": zone}, collision=None)
    found = clearance_of(robot)
    columns = [k for k, pair in enumerate(found.pairs) if pair.name == "tcp:workspace.zone"]
    assert len(columns) == (6 if kind == "inside" else 1)
    q = np.random.default_rng(4).uniform(-2.9, 2.9, (300, 3))
    wanted = distance(_points(q)["tcp"])
    probe = Probe(found.arm)
    mine = np.array([probe.survey(row)[columns].min() for row in q])
    outside = wanted > 0
    assert outside.sum() > 20
    assert mine[outside] == pytest.approx(wanted[outside], abs=1e-6)
    assert (mine[~outside] <= 1e-9).all()


@pytest.mark.parametrize(
    ("shape", "distance"),
    [
        (
            '<box size="0.2 0.1 0.06"/>',
            lambda p: _to_box(p, [-0.1, -0.05, -0.03], [0.1, 0.05, 0.03]),
        ),
        ('<sphere radius="0.11"/>', lambda p: np.linalg.norm(p, axis=1) - 0.11),
    ],
)
def test_a_link_that_is_a_box_or_a_sphere_stays_one(shape, distance):
    place = "<origin xyz='0.5 0.6 0.3' rpy='0.4 -0.3 1.1'/>"
    link = f'<link name="post"><collision>{place}<geometry>{shape}</geometry></collision></link>'
    found = clearance_of(
        make_arm(urdf(_joint("j9", "ground", "post", "0 0 0", "0 0 1", "fixed"), link))
    )
    index = next(k for k, p in enumerate(found.pairs) if set(p.name.split(":")) == {"fore", "post"})
    q = np.random.default_rng(7).uniform(-2.9, 2.9, (100, 3))
    p = _points(q)
    wanted = _along(
        p["fore0"], p["fore1"], lambda x: distance((x - [0.5, 0.6, 0.3]) @ turned(0.4, -0.3, 1.1))
    )
    mine = np.array([Probe(found.arm).at(row, [index])[0] for row in q]) + RADIUS
    apart = wanted > RADIUS + 1e-3
    assert apart.sum() > 20
    assert mine[apart] == pytest.approx(wanted[apart], abs=1e-5)


def reach_of(robot, name):
    (reach,) = {tuple(p.reach) for p in clearance_of(robot).pairs if p.name == name}
    return reach


def test_reach_of_a_point_is_the_stretched_arm():
    """More would be safe, and only cost time: so the exact value is tested, too."""
    zone = {"kind": "plane", "normal": [0.0, 0.0, 1.0], "offset": -5.0}
    zones = {
        "names": ["a", "b"],
        "a": {**zone, "frames": ["tcp"]},
        "b": {**zone, "frames": ["elbow"]},
    }
    robot = make_arm(workspace=zones)
    assert reach_of(robot, "tcp:workspace.a") == pytest.approx([0.8, 0.8, 0.4])
    assert reach_of(robot, "elbow:workspace.b") == pytest.approx([0.4, 0.4, 0.0])


def test_reach_of_a_link_is_not_much_more_than_its_far_end():
    reach = np.array(reach_of(make_arm(), "fore:table"))
    far = np.array([0.4, 0.4, 0.0]) + FORE + RADIUS
    assert (reach >= far).all()
    assert (reach <= far + 0.02).all()


# --- capsules around points ----------------------------------------------------------------------
def placed(points):
    """Return points somewhere else, turned, and where their middle and z axis went."""
    rotation, shift = turned(1.0, -0.7, 2.0), np.array([3.0, -2.0, 1.0])
    return np.array(points) @ rotation.T + shift, rotation, shift


def block(x, y, z):
    return [(i, j, k) for i in (-x, x) for j in (-y, y) for k in (-z, z)]


RING = [(np.cos(a), np.sin(a), 0.0) for a in np.arange(8) * np.pi / 4]
CAPSULES = {
    # all corners are as far from the axis as the radius: the core has the block's whole length
    "block": (block(0.03, 0.04, 0.5), 0.05, 1.0),
    # many more points on one side do not move the axis: it is midway between the outermost
    "one side": (block(0.03, 0.04, 0.5) + [(0.03, 0.04, 0.0)] * 80, 0.05, 1.0),
    # the round ends reach over the tips
    "spindle": ([(0.1 * x, 0.1 * y, 0.0) for x, y, _ in RING] + [(0, 0, -0.5), (0, 0, 0.5)] * 5,
                0.1, 0.8),
    # uneven ends: each is as near to the middle as its own tip allows
    "uneven": ([(0.1 * x, 0.1 * y, 0.3) for x, y, _ in RING] + [(0, 0, -0.5), (0, 0, 0.5)] * 5,
               0.1, 0.8),
    "ball": ([*RING, *[(0, 0, -0.5), (0, 0, 0.5)] * 100], 1.0, 0.0),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(CAPSULES))
def test_a_capsule_around_points_is_the_smallest_on_its_axis(what):
    points, radius, length = CAPSULES[what]
    moved, rotation, shift = placed(points)
    found_radius, found_length, pose = shapes.enclosing_capsule(moved)
    assert found_radius == pytest.approx(radius, rel=1e-3)
    assert found_length == pytest.approx(length, abs=1e-3)
    assert pose[:3, 3] == pytest.approx(shift, abs=1e-3)
    assert pose[3] == pytest.approx([0, 0, 0, 1])
    along = abs(pose[:3, 2] @ rotation[:, 2])
    assert along == pytest.approx(1.0, abs=1e-3)
    assert pose[:3, :3] @ pose[:3, :3].T == pytest.approx(np.eye(3), abs=1e-9)
