"""Which streams the simulated arm has, as the robot file asks for them."""

from __future__ import annotations

from collections.abc import Sequence

from vla_common.core.errors import ConfigError
from vla_common.core.robot import Robot
from vla_sim.core.arm import JOINTS
from vla_sim.core.scene import VISION_CAMERAS

ENCODINGS = ("rgb8", "bgr8")
JOINT_STATES = "joint_states"


def check(robot: Robot) -> None:
    """Refuse a robot file that describes another robot. Raises ConfigError."""
    where = robot.source
    if set(robot.joints) != set(JOINTS):
        allowed = "the joints of the simulated arm: " + ", ".join(JOINTS)
        raise ConfigError(where, "robot.joints", robot.joints, allowed)
    if robot.controller.type != "joint_trajectory":
        allowed = "'joint_trajectory': the simulated arm has no other controller"
        raise ConfigError(where, "controller.type", robot.controller.type, allowed)
    for name, camera in zip(robot.camera_names, robot.cameras, strict=True):
        if name not in VISION_CAMERAS:
            allowed = "cameras of the simulated arm: " + ", ".join(VISION_CAMERAS)
            raise ConfigError(where, "cameras.names", name, allowed)
        if camera.encoding not in ENCODINGS:
            allowed = "one of " + ", ".join(ENCODINGS)
            raise ConfigError(where, f"cameras.{name}.encoding", camera.encoding, allowed)
        if camera.rate != robot.cameras[0].rate:
            allowed = f"{robot.cameras[0].rate:g}: the simulated cameras are triggered together"
            raise ConfigError(where, f"cameras.{name}.rate", camera.rate, allowed)


def named(kind: str, value: str, cameras: Sequence[str]) -> frozenset[str]:
    """Return the streams named in a comma-separated list. Raises ConfigError for another name.

    ``kind`` is the parameter; joint states can be silent, but neither frozen nor dark.
    """
    names = frozenset(name.strip() for name in value.split(",") if name.strip())
    known = (*cameras, JOINT_STATES) if kind == "silent" else tuple(cameras)
    for name in names:
        if name not in known:
            raise ConfigError("sim_arm", kind, name, "any of " + ", ".join(known))
    return names
