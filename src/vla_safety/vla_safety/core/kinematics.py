"""The arm in space: Pinocchio's model of the URDF, driven by the commanded joints.

Pinocchio and coal are imported here and in :mod:`vla_safety.core.shapes` only, and not before a
robot asks for kinematic checks.
"""

from __future__ import annotations

import importlib
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vla_common.core.errors import ConfigError
from vla_common.core.robot import Robot
from vla_safety.core.limits import Array

OLDEST = 3
"""First major version of Pinocchio whose interface is used here."""
OFF = "or kinematics.enabled: false to run without checks of workspace and collision"


def libraries(where: str) -> tuple[Any, Any]:
    """Return the modules pinocchio and coal. Raises :class:`ConfigError` where they are missing."""
    try:
        pin = importlib.import_module("pinocchio")
        if int(pin.__version__.split(".")[0]) < OLDEST:
            raise ImportError(f"Pinocchio {pin.__version__} is too old, {OLDEST} is needed")
        try:
            coal = importlib.import_module("coal")
        except ImportError:  # its name before 2024
            coal = importlib.import_module("hppfcl")
    except ImportError as error:
        raise ConfigError(
            where,
            "kinematics.enabled",
            True,
            f"Pinocchio with coal, which cannot be imported ({error}): install the package "
            f"pinocchio of ROS, or pin from the Python package index; {OFF}",
        ) from error
    return pin, coal


@dataclass(frozen=True, eq=False)
class Drive:
    """How the commanded joints move those of the model: ``v = gain @ command + offset``.

    ``gain`` (model joints, joints); mimic joints follow, fixed ones have a row of zeros.
    """

    gain: Array
    offset: Array


class Arm:
    """Model and collision geometry; joint 0 of the model is the ground.

    Raises :class:`ConfigError` when the URDF does not fit the robot file.
    """

    def __init__(self, robot: Robot, urdf: Path, package_dirs: Sequence[str] = ()) -> None:
        self.where = robot.source
        self.pin, self.coal = libraries(robot.source)
        try:
            self.model = self.pin.buildModelFromUrdf(str(urdf))
            self.geometry = self.pin.buildGeomFromUrdf(
                self.model,
                str(urdf),
                self.pin.GeometryType.COLLISION,
                package_dirs=[str(p) for p in package_dirs],
            )
        except (ValueError, RuntimeError) as error:
            raise ConfigError(
                robot.source, "robot.urdf", str(urdf), f"a URDF Pinocchio can load: {error}"
            ) from error
        self.drive = _drive(robot, self.model, _mimics(urdf))
        model = self.model
        joints = range(1, model.njoints)
        self._turning = [i for i in joints if model.joints[i].nq == 2]
        self._single = [i for i in joints if model.joints[i].nq == 1]
        self._slides = {i: self._stroke(i) for i in self._single if self._is_prismatic(i)}
        self.base = self.placement(robot.identity.base_frame, "robot.base_frame", fixed=True)

    def configurations(self, rows: Array) -> Array:
        """Return Pinocchio's configurations (n, nq) of commanded positions (n, joints)."""
        model = self.model
        values = rows @ self.drive.gain.T + self.drive.offset
        if not self._turning:
            return values
        out = np.empty((len(rows), model.nq))
        for i in self._single:
            out[:, model.idx_qs[i]] = values[:, model.idx_vs[i]]
        for i in self._turning:  # a continuous joint is a point on the unit circle
            angle = values[:, model.idx_vs[i]]
            out[:, model.idx_qs[i]] = np.cos(angle)
            out[:, model.idx_qs[i] + 1] = np.sin(angle)
        return out

    def frame(self, name: str, key: str) -> Any:
        """Return the frame of a URDF link. Raises :class:`ConfigError` for an unknown one."""
        kind = self.pin.FrameType.BODY
        if not self.model.existFrame(name, kind):
            known = ", ".join(f.name for f in self.model.frames if f.type == kind)
            raise ConfigError(self.where, key, name, f"a link of the URDF: {known}")
        return self.model.frames[self.model.getFrameId(name, kind)]

    def placement(self, name: str, key: str, fixed: bool) -> Any:
        """Return a link's placement on its joint; ``fixed``: it must not move at all."""
        frame = self.frame(name, key)
        if fixed and frame.parentJoint != 0:
            raise ConfigError(self.where, key, name, "a link that does not move")
        return frame.placement

    def chain(self, first: int, second: int) -> tuple[list[int], list[int]]:
        """Return the joints that move each of two bodies relative to the other."""
        a, b = list(self.model.supports[first]), list(self.model.supports[second])
        return [i for i in a if i not in b], [i for i in b if i not in a]

    def adjacent(self, first: int, second: int) -> bool:
        """Return whether one joint, or none, lies between two bodies."""
        parents = self.model.parents
        return first == second or parents[first] == second or parents[second] == first

    def reach(self, joint: int, radius: float, chain: list[int]) -> Array:
        """Return (joints,) how far a body can move per unit that each joint is commanded, at most.

        ``radius`` [m]: of the body about the origin of its ``joint``. A turn moves no point
        further than its distance from the axis, which is at most the sum of the links between.
        """
        model, speed = self.model, np.zeros(self.model.nv)
        distance, i = radius, joint
        while i != 0:
            if i in chain:
                speed[model.idx_vs[i]] = 1.0 if i in self._slides else distance
            distance += float(np.linalg.norm(model.jointPlacements[i].translation))
            distance += self._slides.get(i, 0.0)
            i = model.parents[i]
        return np.asarray(speed @ np.abs(self.drive.gain))

    def _is_prismatic(self, joint: int) -> bool:
        return str(self.model.joints[joint].shortname()).startswith("JointModelP")

    def _stroke(self, joint: int) -> float:
        at = self.model.idx_qs[joint]
        low, high = self.model.lowerPositionLimit[at], self.model.upperPositionLimit[at]
        return float(max(abs(low), abs(high)))


def _mimics(urdf: Path) -> dict[str, tuple[str, float, float]]:
    """Return mimic joints: name to (joint that is followed, multiplier, offset)."""
    found = {}
    for joint in ET.parse(urdf).getroot().findall("joint"):
        mimic = joint.find("mimic")
        if mimic is not None:
            multiplier, offset = mimic.get("multiplier", "1"), mimic.get("offset", "0")
            found[joint.get("name", "")] = (
                mimic.get("joint", ""),
                float(multiplier),
                float(offset),
            )
    return found


def _drive(robot: Robot, model: Any, mimics: dict[str, tuple[str, float, float]]) -> Drive:
    kinematics = robot.surroundings.kinematics
    fixed = dict(zip(kinematics.fixed_joints, kinematics.fixed_positions))
    names = list(model.names)[1:]
    for name in fixed:
        if name not in names or name in robot.joints:
            free = ", ".join(n for n in names if n not in robot.joints)
            raise ConfigError(
                robot.source,
                "kinematics.fixed_joints",
                name,
                f"joints of the URDF that are not commanded: {free or '(none)'}",
            )
    gain, offset = np.zeros((model.nv, len(robot.joints))), np.zeros(model.nv)
    for name in names:
        index = model.getJointId(name)
        if model.joints[index].nv != 1:
            raise ConfigError(
                robot.source, "robot.urdf", name, "revolute, prismatic and continuous joints"
            )
        row = model.idx_vs[index]
        leader, multiplier, shift = mimics.get(name, (name, 1.0, 0.0))
        if leader in robot.joints:
            gain[row, robot.joints.index(leader)], offset[row] = multiplier, shift
        elif name in fixed:
            offset[row] = fixed[name]
        else:
            raise ConfigError(
                robot.source,
                "kinematics.fixed_joints",
                kinematics.fixed_joints,
                f"to contain {name}: a joint of the URDF that robot.joints does not command",
            )
    return Drive(gain, offset)
