"""Two of the small arms side by side as one robot, and a judge of the distances between them.

Joints a0..a2 and b0..b2; arm b stands APART to the left of arm a. Nothing else is declared: what
either arm may come near to is the other one, and its own column.
"""

from __future__ import annotations

import itertools

import numpy as np
import space_world
from space_world import COLUMN, FORE, HOME, RADIUS, SHOULDER, TCP, UPPER

from vla_common.core.robot import Robot

APART = 0.6  # [m] between the columns
STOP = 0.02  # [m] safety distance
ARMS = {"a": -APART / 2, "b": APART / 2}
BOTH_HOME = [*HOME, *HOME]
JOINTS = [f"{arm}{i}" for arm in ARMS for i in range(3)]
TOGETHER = [1.2, -0.1, 0.2, -1.2, -0.1, 0.2]
"""Both turned towards each other, stretched out."""


def urdf() -> str:
    """Return the URDF of both arms on one ground."""
    parts = ['<link name="ground"/>']
    for arm, y in ARMS.items():
        link, joint = space_world._link, space_world._joint
        parts += [
            joint(f"{arm}_mount", "ground", f"{arm}_column", f"0 {y} 0", "0 0 1", "fixed"),
            link(f"{arm}_column", 0.1, 0.05, COLUMN, "z"),
            joint(f"{arm}0", f"{arm}_column", f"{arm}_turret", f"0 0 {SHOULDER}", "0 0 1"),
            f'<link name="{arm}_turret"/>',
            joint(f"{arm}1", f"{arm}_turret", f"{arm}_upper", "0 0 0", "0 1 0"),
            link(f"{arm}_upper", UPPER - 0.1, UPPER / 2, RADIUS, "x"),
            joint(f"{arm}2", f"{arm}_upper", f"{arm}_fore", f"{UPPER} 0 0", "0 1 0"),
            link(f"{arm}_fore", FORE - 0.05, FORE / 2 + 0.025, RADIUS, "x"),
            joint(f"{arm}_tip", f"{arm}_fore", f"{arm}_hand", f"{TCP} 0 0", "0 0 1", "fixed"),
            f'<link name="{arm}_hand"/>',
        ]
    return f'<robot name="two">{"".join(parts)}</robot>'


def make_arms(**changes) -> Robot:
    """Return the robot; ``changes`` as in :func:`space_world.make_arm`."""
    limit = {
        "has_position_limits": True, "min_position": -2.9, "max_position": 2.9,
        "has_velocity_limits": True, "max_velocity": 1.5,
        "has_acceleration_limits": True, "max_acceleration": 8.0,
    }  # fmt: skip
    return space_world.make_arm(
        urdf(),
        **{
            "robot": {"name": "two", "joints": JOINTS, "home": BOTH_HOME, "tcp_frame": "a_hand"},
            "joint_limits": {name: dict(limit) for name in JOINTS},
            "kinematics": {"elbow_frame": "a_fore"},
            "workspace": None,
            "collision": None,
            **changes,
        },
    )


# --- the judge ----------------------------------------------------------------------------------
def _cores(q: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray, float]]:
    """Return ends (n, 3) and radius of every capsule at joint positions (n, 6)."""
    found = {}
    for arm, part in zip(ARMS, (q[:, :3], q[:, 3:])):
        base = np.array([0.0, ARMS[arm], 0.0])
        at = {name: p + base for name, p in space_world._points(part).items()}
        foot = np.tile(base, (len(q), 1))
        found[f"{arm}_column"] = foot, foot + np.array([0.0, 0.0, 0.1]), COLUMN
        found[f"{arm}_upper"] = at["upper0"], at["upper1"], RADIUS
        found[f"{arm}_fore"] = at["fore0"], at["fore1"], RADIUS
    return found


def _to_segment(p: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the distance (n,) of points to segments, each (n, 3)."""
    way = b - a
    share = ((p - a) * way).sum(axis=1) / (way * way).sum(axis=1)
    return np.linalg.norm(p - a - np.clip(share, 0.0, 1.0)[:, None] * way, axis=1)


def judge(q: np.ndarray) -> dict[str, np.ndarray]:
    """Return the distance (n,) [m] of each two links that may meet, by name."""
    cores = _cores(np.atleast_2d(q))
    found = {}
    for one, other in itertools.combinations(cores, 2):
        links = {one[2:], other[2:]}
        if links == {"column"} or (one[0] == other[0] and links == {"upper", "fore"}):
            continue
        (a, b, r), (c, d, s) = cores[one], cores[other]
        apart = space_world._along(a, b, lambda p, c=c, d=d: _to_segment(p, c, d))
        found[f"{one}:{other}"] = apart - r - s
    return found


def nearest(q: np.ndarray) -> np.ndarray:
    """Return the least distance (n,) [m] between the two arms at joint positions (n, 6)."""
    between = [d for name, d in judge(q).items() if name[0] != name.partition(":")[2][0]]
    return np.min(between, axis=0)
