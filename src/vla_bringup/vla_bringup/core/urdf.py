"""The robot file against its URDF: names, and limits that the URDF does not exceed."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path

from vla_common.core.errors import ConfigError
from vla_common.core.robot import JointLimit, Robot

MOVING = ("revolute", "prismatic", "continuous")
TOLERANCE = 1e-6
"""How far a limit may lie beyond the URDF's [rad or m]: what rounding in a file can do."""


def check(robot: Robot, path: Path) -> None:
    """Raise :class:`ConfigError` when the robot file and the URDF at ``path`` disagree."""
    root = _read(robot, path)
    links = {link.get("name", "") for link in root.iter("link")}
    for key, frame in (
        ("base_frame", robot.identity.base_frame),
        ("tcp_frame", robot.identity.tcp_frame),
    ):
        if frame not in links:
            known = ", ".join(sorted(links))
            raise ConfigError(robot.source, f"robot.{key}", frame, f"a link of {path}: {known}")
    joints = {j.get("name", ""): j for j in root.findall("joint") if j.get("type") in MOVING}
    for name, limit in zip(robot.joints, robot.limits):
        if name not in joints:
            known = ", ".join(joints)
            raise ConfigError(
                robot.source, "robot.joints", name, f"a moving joint of {path}: {known}"
            )
        _check_limit(robot, name, limit, joints[name], path)


def _read(robot: Robot, path: Path) -> ET.Element:
    try:
        root = ET.parse(path).getroot()
    except OSError as error:
        raise ConfigError(
            robot.source,
            "robot.urdf",
            robot.identity.urdf,
            f"a file that can be read; {path}: {error.strerror}",
        ) from error
    except ET.ParseError as error:
        raise ConfigError(str(path), "(file)", str(error), "valid XML") from error
    if root.tag != "robot":
        raise ConfigError(str(path), "(top)", root.tag, "<robot>, as in every URDF")
    return root


def _check_limit(robot: Robot, name: str, limit: JointLimit, joint: ET.Element, path: Path) -> None:
    element = joint.find("limit")
    if element is None or joint.get("type") == "continuous" or not limit.has_position_limits:
        return
    lower = float(element.get("lower", "-inf"))
    upper = float(element.get("upper", "inf"))
    speed = float(element.get("velocity", "inf"))
    checks = (
        (
            "min_position",
            limit.min_position,
            limit.min_position >= lower - TOLERANCE,
            f">= {lower:g}",
        ),
        (
            "max_position",
            limit.max_position,
            limit.max_position <= upper + TOLERANCE,
            f"<= {upper:g}",
        ),
        (
            "max_velocity",
            limit.max_velocity,
            limit.max_velocity <= speed + TOLERANCE,
            f"<= {speed:g}",
        ),
    )
    for key, value, good, allowed in checks:
        if not good and not math.isnan(value):
            raise ConfigError(
                robot.source, f"joint_limits.{name}.{key}", value, f"{allowed}, the limit in {path}"
            )
