"""The robot file: one ROS parameter file that holds every fact about a robot.

:func:`load` reads ``config/robots/<name>.yaml``; a node gets the same nested values from its own
parameters and calls :func:`from_parameters`. Both check everything, so that nothing starts on a
file with a mistake in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from vla_common.core.errors import ConfigError
from vla_common.core.schema import build, param, unknown_key


@dataclass(frozen=True, kw_only=True)
class JointLimit:
    """Limits of one joint, in the keys of ros2_control's ``joint_limits``."""

    has_position_limits: bool = param("whether min_position and max_position hold")
    min_position: float = param("[rad or m]", float("nan"))
    max_position: float = param("[rad or m]", float("nan"))
    has_velocity_limits: bool = param("whether max_velocity holds; must be true")
    max_velocity: float = param("[rad/s or m/s]", above=0.0)
    has_acceleration_limits: bool = param("whether max_acceleration holds; must be true")
    max_acceleration: float = param("[rad/s^2 or m/s^2]", above=0.0)
    has_deceleration_limits: bool = param("whether max_deceleration holds", False)
    max_deceleration: float = param("[rad/s^2 or m/s^2]", float("nan"), above=0.0)
    has_jerk_limits: bool = param("whether max_jerk holds", False)
    max_jerk: float = param("[rad/s^3 or m/s^3]", float("nan"), above=0.0)
    has_effort_limits: bool = param("whether max_effort holds", False)
    max_effort: float = param("[Nm or N]", float("nan"), above=0.0)
    has_soft_limits: bool = param("whether the soft limits hold", False)
    soft_lower_limit: float = param("[rad or m]", float("nan"))
    soft_upper_limit: float = param("[rad or m]", float("nan"))
    k_position: float = param("[1/s] gain towards the soft limit", 10.0, above=0.0)
    angle_wraparound: bool = param("a continuous joint", False)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What the robot is."""

    name: str = param("name of the robot")
    joints: tuple[str, ...] = param("joint names in command order")
    grippers: tuple[str, ...] = param("those of the joints that are grippers", ())
    home: tuple[float, ...] = param("rest posture [rad or m], in the order of joints", ())
    urdf: str = param("URDF: a path, or package://<package>/<path>; empty: none", "")
    base_frame: str = param("URDF link of the base", "base_link")
    tcp_frame: str = param("URDF link of the tool centre point", "tcp")
    serial: str = param("serial number, shown in diagnostics", "")
    simulated: bool = param("start the simulator in place of drivers", False)


# The first five are decoded here, the others by cv_bridge where it is installed.
ENCODINGS = (
    "rgb8",
    "bgr8",
    "rgba8",
    "bgra8",
    "mono8",
    "mono16",
    "yuv422",
    "yuv422_yuy2",
    "uyvy",
    "yuyv",
    "bayer_rggb8",
    "bayer_bggr8",
    "bayer_gbrg8",
    "bayer_grbg8",
)


@dataclass(frozen=True, kw_only=True)
class Camera:
    """One camera; the size and encoding are checked against the bundle and each image."""

    topic: str = param("sensor_msgs/Image topic")
    width: int = param("[px]", low=8, high=8192)
    height: int = param("[px]", low=8, high=8192)
    encoding: str = param("sensor_msgs/Image encoding", "rgb8", choices=ENCODINGS)
    rate: float = param("[Hz] nominal", 30.0, above=0.0, high=1000.0)
    serial: str = param("serial number, shown in diagnostics", "")
    required: bool = param("whether inference stops when the stream is missing", True)


@dataclass(frozen=True, kw_only=True)
class CameraSync:
    """How images of several cameras are put together."""

    max_skew_ms: float = param("largest difference of capture stamps in a set", 40.0, above=0.0)
    stale_ms: float = param("an image older than this is stale", 150.0, above=0.0)
    frozen_frames: int = param("identical images in a row that mean frozen", 5, low=2)
    dark_mean: float = param("a 5x5 block with a lower mean is dark, 0..255", 8.0, low=0.0)
    dark_std: float = param("... if its standard deviation is also lower", 4.0, low=0.0)
    dark_blocks: int = param("dark blocks out of 25 that mean dark", 20, low=1, high=25)
    dark_frames: int = param("dark images in a row that are a fault", 10, low=1)


@dataclass(frozen=True, kw_only=True)
class Model:
    """Which model drives the robot."""

    bundle: str = param("bundle folder, or a name looked up under bundles/")
    backend: str = param("inference backend", "auto", choices=("auto", "onnxruntime"))
    threads: int = param("CPU threads of the backend; 0: the backend's choice", 1, low=0, high=64)
    instruction: str = param("instruction at start; empty: wait for /vla/instruction", "")


@dataclass(frozen=True, kw_only=True)
class FeatureCache:
    """When vision features are reused."""

    enabled: bool = param("reuse features while the scene is static", True)
    patch: int = param("[px] edge of the patches compared", 16, low=4, high=256)
    patch_threshold: float = param(
        "mean |difference| of a patch that is a change, 0..1", 0.01, above=0.0
    )
    max_age_ms: float = param("features older than this are never used", 100.0, above=0.0)
    monitor_every: int = param("re-encode every n-th hit to measure the error; 0: never", 20, low=0)
    max_error: float = param("relative L2 error that switches the cache off", 0.1, above=0.0)
    off_ms: float = param("how long it stays off after that", 10_000.0, above=0.0)


@dataclass(frozen=True, kw_only=True)
class Control:
    """The loop."""

    rate: float = param("[Hz] of /vla/actions", 20.0, low=1.0, high=200.0)
    blend: str = param(
        "how a new chunk joins the plan", "rtc", choices=("rtc", "ensemble", "align", "none")
    )
    blend_steps: int = param("steps over which a boundary is blended", 5, low=1, high=64)
    plan_steps: int = param("rows of /vla/actions", 8, low=2, high=256)
    max_chunk_age_ms: float = param(
        "a chunk older than this (by capture) is not played", 700.0, above=0.0
    )
    inference_period_ms: float = param(
        "shortest time between inferences; 0: every set of images", 0.0, low=0.0
    )
    phase_lock: bool = param("move the 20 Hz phase to just after chunks arrive", True)


@dataclass(frozen=True, kw_only=True)
class Safety:
    """The gate."""

    step_ms: float = param("grid of the verified path", 10.0, above=0.0, high=50.0)
    lookahead_ms: float = param(
        "verified motion along the plan before the stop tail", 80.0, above=0.0, high=200.0
    )
    max_horizon_ms: float = param(
        "verified path at most; speed is limited so that it suffices", 200.0, above=0.0
    )
    lease_ms: float = param("the publisher ramps to hold when the lease is older", 60.0, above=0.0)
    max_action_age_ms: float = param("/vla/actions older than this is stale", 100.0, above=0.0)
    max_capture_age_ms: float = param(
        "a plan whose images are older than this is stale", 800.0, above=0.0
    )
    future_ms: float = param("a stamp further in the future is refused", 20.0, low=0.0)
    no_chunk_ms: float = param("silence of the plan that means hold", 150.0, above=0.0)
    jump_factor: float = param(
        "first row further than this x max_velocity x step from the command is refused",
        2.0,
        above=0.0,
    )
    joint_state_ms: float = param("joint states older than this are stale", 50.0, above=0.0)
    tracking_tolerance: float = param("[rad or m] command against measurement", 0.15, above=0.0)
    tracking_ticks: int = param("ticks in a row beyond the tolerance that latch", 3, low=1)
    bad_shape_latch: int = param("wrong names, order or size in a row that latch", 3, low=1)
    recover_ms: float = param("a cause must be away this long before a hold ends", 200.0, low=0.0)
    publisher_ms: float = param(
        "silence of the publisher that latches, and its time to follow after enable",
        250.0,
        above=0.0,
    )
    estop_required: bool = param("refuse to enable before an e-stop heartbeat was seen", False)
    estop_timeout_ms: float = param("e-stop heartbeat older than this trips", 150.0, above=0.0)
    auto_enable: bool = param("enable at activation without ~/enable; for simulation only", False)
    velocity_scale: float = param("of all velocity limits", 1.0, above=0.0, high=1.0)
    follow_ms: float = param("time constant for making good an error of position", 30.0, above=0.0)
    soft_start_ms: float = param("speed ramps up for this long after enable", 500.0, low=0.0)
    slow_scale: float = param("of the velocity limits in state SLOW", 0.3, above=0.0, high=1.0)
    low_confidence: float = param("a plan below this is followed slowly; 0: off", 0.0, low=0.0)


@dataclass(frozen=True, kw_only=True)
class Controller:
    """What moves the arm."""

    type: str = param(
        "kind of output",
        "joint_trajectory",
        choices=("joint_trajectory", "forward_command", "joint_state"),
    )
    topic: str = param("command topic", "/joint_trajectory_controller/joint_trajectory")
    node: str = param(
        "full name of the controller's node; empty: what its topic lies under, such as "
        "/joint_trajectory_controller",
        "",
    )
    check_parameters: bool = param(
        "ask that node for its parameters, and refuse to enable when they do not fit", True
    )
    joint_states: str = param("sensor_msgs/JointState topic", "/joint_states")
    joint_state_rate: float = param("[Hz] nominal", 100.0, above=0.0)
    stamped: bool = param("trajectories say when they start; false: they start on arrival", True)
    dry_run: bool = param("do everything but command the arm", False)


@dataclass(frozen=True, kw_only=True)
class Robot:
    """Everything the robot file says; limits and cameras in the order of their names."""

    source: str
    identity: Identity
    limits: tuple[JointLimit, ...]
    camera_names: tuple[str, ...]
    cameras: tuple[Camera, ...]
    sync: CameraSync
    model: Model
    cache: FeatureCache
    control: Control
    safety: Safety
    controller: Controller
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
}


def _limit(where: str, joint: str, values: Any) -> JointLimit:
    key = f"joint_limits.{joint}"
    limit = build(JointLimit, values, where, key)
    for kind in ("velocity", "acceleration"):
        if not getattr(limit, f"has_{kind}_limits"):
            raise ConfigError(where, f"{key}.has_{kind}_limits", False, "true: the gate needs it")
    if not limit.has_position_limits and not limit.angle_wraparound:
        raise ConfigError(
            where, f"{key}.has_position_limits", False, "true, unless angle_wraparound is true"
        )
    pairs = [
        ("position", "min_position", "max_position", limit.has_position_limits),
        ("soft", "soft_lower_limit", "soft_upper_limit", limit.has_soft_limits),
    ]
    for _, low_key, high_key, used in pairs:
        low, high = getattr(limit, low_key), getattr(limit, high_key)
        if used and not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ConfigError(
                where, f"{key}.{low_key}", (low, high), f"finite, and below {high_key}"
            )
    for kind in ("deceleration", "jerk", "effort"):
        if getattr(limit, f"has_{kind}_limits") and math.isnan(getattr(limit, f"max_{kind}")):
            raise ConfigError(where, f"{key}.max_{kind}", None, f"required by has_{kind}_limits")
    return limit


def _limits(where: str, joints: tuple[str, ...], values: Any) -> tuple[JointLimit, ...]:
    if not isinstance(values, dict):
        raise ConfigError(where, "joint_limits", values, "a mapping from joint to limits")
    for name in values:
        if name not in joints:
            raise unknown_key(where, "joint_limits", str(name), joints)
    for name in joints:
        if name not in values:
            raise ConfigError(
                where, f"joint_limits.{name}", None, "required: every joint has limits"
            )
    return tuple(_limit(where, name, values[name]) for name in joints)


def _cameras(where: str, values: Any) -> tuple[tuple[str, ...], tuple[Camera, ...]]:
    listed = values.get("names") if isinstance(values, dict) else None
    if not isinstance(listed, (list, tuple)) or not listed:
        raise ConfigError(where, "cameras.names", listed, "required: a list of camera names")
    names = tuple(str(n) for n in listed)
    if len(set(names)) != len(names):
        raise ConfigError(where, "cameras.names", names, "names that differ")
    for key in values:
        if key != "names" and key not in names:
            raise unknown_key(where, "cameras", str(key), ("names", *names))
    missing = [n for n in names if n not in values]
    if missing:
        raise ConfigError(where, f"cameras.{missing[0]}", None, "required: named in cameras.names")
    return names, tuple(build(Camera, values[n], where, f"cameras.{n}") for n in names)


def _check_identity(where: str, identity: Identity) -> None:
    joints = identity.joints
    if not joints or len(set(joints)) != len(joints):
        raise ConfigError(where, "robot.joints", joints, "at least one name, and names that differ")
    for gripper in identity.grippers:
        if gripper not in joints:
            raise ConfigError(where, "robot.grippers", gripper, "names from robot.joints")
    if identity.home and len(identity.home) != len(joints):
        raise ConfigError(where, "robot.home", identity.home, f"{len(joints)} values, one a joint")


def from_parameters(values: dict[str, Any], where: str) -> Robot:
    """Return the robot described by nested ``values``; ``where`` names their source in errors.

    Raises :class:`ConfigError` for an unknown key, a missing or wrong value.
    """
    for key in values:
        if key not in SECTIONS:
            raise unknown_key(where, "", str(key), SECTIONS)
    for key in ("robot", "joint_limits", "cameras", "model"):
        if key not in values:
            raise ConfigError(where, key, None, "required: a section of the robot file")
    identity = build(Identity, values["robot"], where, "robot")
    _check_identity(where, identity)
    limits = _limits(where, identity.joints, values["joint_limits"])
    for name, limit, home in zip(identity.joints, limits, identity.home):
        if limit.has_position_limits and not limit.min_position <= home <= limit.max_position:
            raise ConfigError(
                where,
                "robot.home",
                home,
                f"within [{limit.min_position:g}, {limit.max_position:g}] for {name}",
            )
    names, cameras = _cameras(where, values["cameras"])
    return Robot(
        source=where,
        identity=identity,
        limits=limits,
        camera_names=names,
        cameras=cameras,
        sync=build(CameraSync, values.get("camera_sync", {}), where, "camera_sync"),
        model=build(Model, values["model"], where, "model"),
        cache=build(FeatureCache, values.get("feature_cache", {}), where, "feature_cache"),
        control=build(Control, values.get("control", {}), where, "control"),
        safety=build(Safety, values.get("safety", {}), where, "safety"),
        controller=build(Controller, values.get("controller", {}), where, "controller"),
        parameters=values,
    )


def read_parameters(path: Path) -> dict[str, Any]:
    """Return the nested parameters of a ROS parameter file keyed ``/**``."""
    where = str(path)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(where, "(file)", error.strerror, "a readable file") from error
    except yaml.YAMLError as error:
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
    return dict(node["ros__parameters"] or {})


def load(path: Path) -> Robot:
    """Read and check a robot file. Raises :class:`ConfigError`."""
    return from_parameters(read_parameters(path), str(path))
