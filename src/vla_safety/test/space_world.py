"""A small arm in space, and a judge of distances that shares no code with the gate.

Three joints: j0 turns about z at the height SHOULDER, j1 and j2 about y. Upper arm and forearm
lie along x at zero. Shapes are the capsules that the URDF's cylinders become.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np

from vla_common.core.robot import Robot, from_parameters
from vla_safety.core import clearance
from vla_safety.core.clearance import Clearance

SHOULDER, UPPER, FORE, TCP = 0.4, 0.4, 0.3, 0.4  # [m]
RADIUS, COLUMN = 0.04, 0.05
HOME = [0.0, -0.9, 1.2]
TABLE = {"kind": "box", "center": [0.5, 0.0, -0.05], "size": [1.0, 1.2, 0.1]}
ROOM = {
    "kind": "inside",
    "frames": ["tcp", "elbow"],
    "low": [-0.6, -0.65, 0.06],
    "high": [0.7, 0.65, 1.0],
}
CASE = {"kind": "keep_out", "frames": ["tcp"], "low": [0.3, 0.35, 0.0], "high": [0.6, 0.7, 0.45]}


def _link(name: str, length: float, offset: float, radius: float, along: str) -> str:
    """Return a link with a cylinder whose middle lies ``offset`` along ``along``."""
    place = {"x": f'xyz="{offset} 0 0" rpy="0 {np.pi / 2} 0"', "z": f'xyz="0 0 {offset}"'}[along]
    return (
        f'<link name="{name}"><collision><origin {place}/><geometry>'
        f'<cylinder radius="{radius}" length="{length}"/></geometry></collision></link>'
    )


def _joint(name: str, parent: str, child: str, xyz: str, axis: str, kind: str = "revolute") -> str:
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
        f'<origin xyz="{xyz}"/><axis xyz="{axis}"/>'
        '<limit lower="-3" upper="3" velocity="9" effort="9"/></joint>'
    )


def urdf(*extra: str) -> str:
    """Return the URDF of the arm; ``extra`` elements go in as they are."""
    parts = [
        '<link name="ground"/>',
        _joint("mount", "ground", "column", "0 0 0", "0 0 1", "fixed"),
        _link("column", 0.1, 0.05, COLUMN, "z"),
        _joint("j0", "column", "turret", f"0 0 {SHOULDER}", "0 0 1"),
        '<link name="turret"/>',
        _joint("j1", "turret", "upper", "0 0 0", "0 1 0"),
        _link("upper", UPPER - 0.1, UPPER / 2, RADIUS, "x"),
        _joint("j2", "upper", "fore", f"{UPPER} 0 0", "0 1 0"),
        _link("fore", FORE - 0.05, FORE / 2 + 0.025, RADIUS, "x"),
        _joint("tip", "fore", "hand", f"{TCP} 0 0", "0 0 1", "fixed"),
        '<link name="hand"/>',
    ]
    return f'<robot name="small">{"".join(parts)}{"".join(extra)}</robot>'


FOLDER = tempfile.TemporaryDirectory(prefix="vla_arm_")


def urdf_file(text: str) -> str:
    """Return the path of a file with this text."""
    path = Path(FOLDER.name) / f"{abs(hash(text))}.urdf"
    path.write_text(text)
    return str(path)


def make_arm(text: str = "", **changes) -> Robot:
    """Return the arm with table, room and case; ``changes`` replace sections, or keys in some.

    ``text``: another URDF.
    """
    limit = {
        "has_position_limits": True,
        "min_position": -2.9,
        "max_position": 2.9,
        "has_velocity_limits": True,
        "max_velocity": 1.5,
        "has_acceleration_limits": True,
        "max_acceleration": 8.0,
    }
    values = {
        "robot": {
            "name": "small",
            "joints": ["j0", "j1", "j2"],
            "home": HOME,
            "urdf": urdf_file(text or urdf()),
            "base_frame": "ground",
            "tcp_frame": "hand",
        },
        "joint_limits": {f"j{i}": dict(limit) for i in range(3)},
        "cameras": {"names": ["c"], "c": {"topic": "/c", "width": 96, "height": 96}},
        "model": {"bundle": "none"},
        "safety": {"soft_start_ms": 0.0, "estop_required": False},
        "kinematics": {"elbow_frame": "fore"},
        "workspace": {"names": ["room", "case"], "room": ROOM, "case": CASE},
        "collision": {"names": ["table"], "table": TABLE},
    }
    for section, value in changes.items():
        if value is None:
            values.pop(section)
        else:
            values[section] = {**values[section], **value} if section in (
                "robot", "kinematics", "safety") else value  # fmt: skip
    return from_parameters(values, "small.yaml")


def clearance_of(robot: Robot | None = None) -> Clearance:
    """Load the checks."""
    found = clearance.load(robot or make_arm())
    assert found is not None
    return found


# --- the judge: everything below knows only the numbers above ---------------------------------
def _points(q: np.ndarray) -> dict[str, np.ndarray]:
    """Return points (n, 3) of the arm at joint positions (n, 3)."""
    yaw, pitch, bend = np.atleast_2d(q).T
    out = np.stack((np.cos(yaw), np.sin(yaw)), axis=1)

    def at(start, angle, length):
        # a positive turn about y takes x downwards
        step = np.column_stack((np.cos(angle)[:, None] * out, -np.sin(angle)))
        return start + length * step

    shoulder = np.tile([0.0, 0.0, SHOULDER], (len(yaw), 1))
    elbow = at(shoulder, pitch, UPPER)
    return {
        "upper0": at(shoulder, pitch, 0.05),
        "upper1": at(shoulder, pitch, UPPER - 0.05),
        "elbow": elbow,
        "fore0": at(elbow, pitch + bend, 0.05),
        "fore1": at(elbow, pitch + bend, FORE),
        "tcp": at(elbow, pitch + bend, TCP),
    }


def _to_box(p: np.ndarray, low, high) -> np.ndarray:
    """Return the signed distance (n,) of points to a box."""
    centre, half = (np.array(low) + high) / 2, (np.array(high) - low) / 2
    d = np.abs(p - centre) - half
    return np.linalg.norm(np.maximum(d, 0), axis=1) + np.minimum(d.max(axis=1), 0)


def _to_column(p: np.ndarray) -> np.ndarray:
    """Return the distance (n,) of points to the column's core."""
    return np.linalg.norm(p - np.column_stack((0 * p[:, :2], np.clip(p[:, 2], 0.0, 0.1))), axis=1)


def _along(a: np.ndarray, b: np.ndarray, distance) -> np.ndarray:
    """Return the smallest ``distance`` between points a and b: convex, so thirds are dropped."""
    low, high = np.zeros(len(a)), np.ones(len(a))
    for _ in range(80):
        x, y = low + (high - low) / 3, high - (high - low) / 3
        left = distance(a + x[:, None] * (b - a)) < distance(a + y[:, None] * (b - a))
        low, high = np.where(left, low, x), np.where(left, y, high)
    return distance(a + low[:, None] * (b - a))


def judge(q: np.ndarray) -> dict[str, np.ndarray]:
    """Return the distances (n,) [m] of everything that :func:`make_arm` declares."""
    p = _points(q)
    table = (
        np.array(TABLE["center"]) - np.array(TABLE["size"]) / 2,
        np.array(TABLE["center"]) + np.array(TABLE["size"]) / 2,
    )
    found = {
        "column:fore": _along(p["fore0"], p["fore1"], _to_column) - RADIUS - COLUMN,
        "case": _to_box(p["tcp"], CASE["low"], CASE["high"]),
    }
    # column and upper are not adjacent: the turret is between them
    found["column:upper"] = _along(p["upper0"], p["upper1"], _to_column) - RADIUS - COLUMN
    for link in ("upper", "fore"):
        ends = (p[f"{link}0"], p[f"{link}1"])
        found[f"{link}:table"] = _along(*ends, lambda x: _to_box(x, *table)) - RADIUS
    for frame in ("tcp", "elbow"):
        found[f"room {frame}"] = -_to_box(p[frame], ROOM["low"], ROOM["high"])
    return found


@functools.cache
def limits() -> dict[str, float]:
    """Return the least distance [m] of each of :func:`judge`'s, by name."""
    return {name: 0.02 if ":" in name else 0.0 for name in judge(np.zeros((1, 3)))}
