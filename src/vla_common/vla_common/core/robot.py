"""The robot file: one ROS parameter file that holds every fact about a robot.

:func:`load` reads ``config/robots/<name>.yaml``; a node gets the same nested values from its own
parameters and calls :func:`from_parameters`. Both read the URDF that the robot names and check
everything, so that nothing starts on a file with a mistake in it.
"""

from __future__ import annotations

import os.path
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from vla_common.core import surroundings
from vla_common.core import urdf as urdf_file
from vla_common.core.errors import ConfigError
from vla_common.core.joint_limits import JointLimit, read_limits
from vla_common.core.schema import build, unknown_key
from vla_common.core.sections import (
    HANDOVER_NS,
    LEAD_NS,
    Camera,
    CameraSync,
    Control,
    Controller,
    FeatureCache,
    Identity,
    Model,
    Safety,
)
from vla_common.core.surroundings import Kinematics, Surroundings, named
from vla_common.core.urdf import ShareOf, Urdf, installed_share

__all__ = [
    "SECTIONS",
    "Camera",
    "CameraSync",
    "Control",
    "Controller",
    "FeatureCache",
    "Identity",
    "JointLimit",
    "Model",
    "Robot",
    "Safety",
    "from_parameters",
    "load",
    "read_parameters",
]


@dataclass(frozen=True, kw_only=True)
class Robot:
    """Everything the robot file says; limits and cameras in the order of their names."""

    source: str
    identity: Identity
    urdf_path: Path | None
    limits: tuple[JointLimit, ...]
    camera_names: tuple[str, ...]
    cameras: tuple[Camera, ...]
    sync: CameraSync
    model: Model
    cache: FeatureCache
    control: Control
    safety: Safety
    controller: Controller
    surroundings: Surroundings
    parameters: dict[str, Any] = field(repr=False, compare=False)

    @property
    def joints(self) -> tuple[str, ...]:
        """Joint names in command order."""
        return self.identity.joints

    def bound(self, key: str) -> np.ndarray:
        """Return one limit of all joints, (joints,) float64, in command order."""
        return np.array([getattr(limit, key) for limit in self.limits], dtype=np.float64)


SECTIONS: dict[str, type] = {
    "robot": Identity,
    "joint_limits": dict,
    "cameras": dict,
    "camera_sync": CameraSync,
    "model": Model,
    "feature_cache": FeatureCache,
    "control": Control,
    "safety": Safety,
    "controller": Controller,
    "kinematics": Kinematics,
    "workspace": dict,
    "collision": dict,
}


def _check_identity(where: str, identity: Identity) -> None:
    joints = identity.joints
    if not joints or len(set(joints)) != len(joints):
        raise ConfigError(where, "robot.joints", joints, "at least one name, and names that differ")
    for gripper in identity.grippers:
        if gripper not in joints:
            raise ConfigError(where, "robot.grippers", gripper, "names from robot.joints")
    if identity.home and len(identity.home) != len(joints):
        raise ConfigError(where, "robot.home", identity.home, f"{len(joints)} values, one a joint")


def _check_home(where: str, identity: Identity, limits: tuple[JointLimit, ...]) -> None:
    for name, limit, home in zip(identity.joints, limits, identity.home):
        if limit.has_position_limits and not limit.min_position <= home <= limit.max_position:
            allowed = f"within [{limit.min_position:g}, {limit.max_position:g}] for {name}"
            raise ConfigError(where, "robot.home", home, allowed)


def _read_urdf(where: str, identity: Identity, share_of: ShareOf) -> Urdf | None:
    """Return the URDF that the robot names, its frames checked; None: it names none."""
    uri = identity.urdf
    if not uri:
        return None
    try:
        path = urdf_file.resolve_package(uri, share_of)
    except LookupError as error:
        allowed = "a path, or package://<package>/<path> of an installed package"
        raise ConfigError(where, "robot.urdf", uri, allowed) from error
    if not path.is_absolute():
        allowed = "an absolute path, or package://<package>/<path>: parameters have no folder"
        raise ConfigError(where, "robot.urdf", uri, allowed)
    try:
        urdf = urdf_file.read(path)
    except OSError as error:
        allowed = f"a file that can be read; {path}: {error.strerror}"
        raise ConfigError(where, "robot.urdf", uri, allowed) from error
    for key, frame in (("base_frame", identity.base_frame), ("tcp_frame", identity.tcp_frame)):
        if frame not in urdf.links:
            known = ", ".join(sorted(urdf.links))
            raise ConfigError(where, f"robot.{key}", frame, f"a link of {path}: {known}")
    return urdf


def _check_rates(where: str, safety: Safety, controller: Controller) -> None:
    """One joint state that is lost must not stop the arm."""
    least = 2000.0 / controller.joint_state_rate
    if safety.joint_state_ms < least:
        allowed = (
            f">= {least:g}, two periods of controller.joint_state_rate = "
            f"{controller.joint_state_rate:g} Hz"
        )
        raise ConfigError(where, "safety.joint_state_ms", safety.joint_state_ms, allowed)


def _check_lead(where: str, control: Control, safety: Safety, controller: Controller) -> None:
    """Refuse paths that begin only after the next one is made, or beyond their horizon.

    None of them would ever be followed.
    """
    period_ms = 1e3 / control.rate
    lead_ms = controller.lead_ns * 1e-6 + safety.step_ms
    if lead_ms >= period_ms:
        allowed = (
            f"a period and {HANDOVER_NS * 1e-6:g} ms, and safety.step_ms, below {period_ms:g} ms, "
            "1 / control.rate: a path begins before the next one is made"
        )
        raise ConfigError(where, "controller.update_rate", controller.update_rate, allowed)
    begins_ms = max(LEAD_NS, controller.lead_ns) * 1e-6 + safety.step_ms
    if begins_ms > safety.max_horizon_ms:
        allowed = (
            f">= {begins_ms:g}: by controller.update_rate and safety.step_ms a path may begin "
            "so long after it is made"
        )
        raise ConfigError(where, "safety.max_horizon_ms", safety.max_horizon_ms, allowed)


def _read_safety(where: str, identity: Identity, values: Any) -> Safety:
    """Return the section: only a simulated arm needs no e-stop where the file says nothing."""
    safety = build(Safety, values, where, "safety")
    if identity.simulated and "estop_required" not in values:
        return replace(safety, estop_required=False)
    return safety


def _check_enable(where: str, identity: Identity, safety: Safety) -> None:
    """Refuse that a real arm enables by itself: it moves when somebody asks for it."""
    if safety.auto_enable and not identity.simulated:
        allowed = "false: only a simulated arm (robot.simulated: true) may enable by itself"
        raise ConfigError(where, "safety.auto_enable", True, allowed)


def from_parameters(
    values: dict[str, Any], where: str, share_of: ShareOf = installed_share
) -> Robot:
    """Return the robot described by nested ``values``; ``where`` names their source in errors.

    The URDF, where one is named, is read for what the limits leave out; ``share_of`` finds its
    package. Raises :class:`ConfigError` for an unknown key, a missing or wrong value.
    """
    for key in values:
        if key not in SECTIONS:
            raise unknown_key(where, "", str(key), SECTIONS)
    for key in ("robot", "joint_limits", "cameras", "model"):
        if key not in values:
            raise ConfigError(where, key, None, "required: a section of the robot file")
    identity = build(Identity, values["robot"], where, "robot")
    _check_identity(where, identity)
    urdf = _read_urdf(where, identity, share_of)
    limits = read_limits(where, identity.joints, values["joint_limits"], urdf)
    _check_home(where, identity, limits)
    cameras = named(Camera, values["cameras"] or None, where, "cameras")
    safety = _read_safety(where, identity, values.get("safety", {}))
    controller = build(Controller, values.get("controller", {}), where, "controller")
    control = build(Control, values.get("control", {}), where, "control")
    _check_rates(where, safety, controller)
    _check_lead(where, control, safety, controller)
    _check_enable(where, identity, safety)
    return Robot(
        source=where,
        identity=identity,
        urdf_path=urdf.path if urdf is not None else None,
        limits=limits,
        camera_names=tuple(cameras),
        cameras=tuple(cameras.values()),
        sync=build(CameraSync, values.get("camera_sync", {}), where, "camera_sync"),
        model=build(Model, values["model"], where, "model"),
        cache=build(FeatureCache, values.get("feature_cache", {}), where, "feature_cache"),
        control=control,
        safety=safety,
        controller=controller,
        surroundings=surroundings.read(values, where, identity.urdf),
        parameters=values,
    )


def read_parameters(path: Path) -> dict[str, Any]:
    """Return the nested parameters of a ROS parameter file keyed ``/**``."""
    where = str(path)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(where, "(file)", error.strerror, "a readable file") from error
    except (yaml.YAMLError, ValueError) as error:  # not UTF-8, a date that is none, endless digits
        raise ConfigError(where, "(file)", str(error), "valid YAML") from error
    if not isinstance(document, dict) or list(document) != ["/**"]:
        found = list(document) if isinstance(document, dict) else document
        raise ConfigError(where, "(top)", found, "one key, '/**': with ros__parameters: below it")
    node = document["/**"]
    if not isinstance(node, dict) or list(node) != ["ros__parameters"]:
        raise ConfigError(
            where,
            "/**",
            node if not isinstance(node, dict) else list(node),
            "one key, ros__parameters",
        )
    values = node["ros__parameters"] or {}
    if not isinstance(values, dict):
        raise ConfigError(where, "ros__parameters", values, "a mapping of keys to values")
    return values


def _with_folder(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return ``values`` with a relative path of the URDF made absolute, from ``folder``."""
    section = values.get("robot")
    uri = section.get("urdf") if isinstance(section, dict) else None
    if not isinstance(uri, str) or not uri or uri.startswith(urdf_file.PACKAGE):
        return values
    path = folder.absolute() / os.path.expanduser(uri)
    return {**values, "robot": {**values["robot"], "urdf": str(path)}}


def load(path: Path, share_of: ShareOf = installed_share) -> Robot:
    """Read and check a robot file; see :func:`from_parameters`. Raises :class:`ConfigError`."""
    values = _with_folder(read_parameters(path), path.parent)
    return from_parameters(values, str(path), share_of)
