"""Limits of the joints: ros2_control's ``joint_limits``, completed from the URDF.

Where the robot names a URDF, what ``joint_limits`` leaves out comes from there: position,
velocity and effort from ``limit``, soft limits from ``safety_controller``. What both say must
agree that far: a robot file may be stricter than its URDF, never laxer.

``k_velocity`` limits nothing here, in the file or in the URDF: ros2_control bounds effort commands
by it (github.com/ros-controls/ros2_control, joint_limits/src/joint_soft_limiter.cpp, read 2026-11),
and the gate lets out positions. It is a known key so that existing files can be copied.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from vla_common.core.errors import ConfigError
from vla_common.core.schema import build, param, unknown_key
from vla_common.core.urdf import Urdf, UrdfJoint

TOLERANCE = 1e-6
"""How far a limit may lie beyond the URDF's: what rounding in a file can do."""


@dataclass(frozen=True, kw_only=True)
class JointLimit:
    """Limits of one joint, in the keys of ros2_control's ``joint_limits``."""

    has_position_limits: bool = param(
        "whether min_position and max_position hold; the URDF may say it"
    )
    min_position: float = param("[rad or m]; the URDF may say it", float("nan"))
    max_position: float = param("[rad or m]; the URDF may say it", float("nan"))
    has_velocity_limits: bool = param(
        "whether max_velocity holds; must be true; the URDF may say it"
    )
    max_velocity: float = param("[rad/s or m/s]; the URDF may say it", above=0.0)
    has_acceleration_limits: bool = param("whether max_acceleration holds; must be true")
    max_acceleration: float = param("[rad/s^2 or m/s^2]", above=0.0)
    has_deceleration_limits: bool = param("whether max_deceleration holds", False)
    max_deceleration: float = param("[rad/s^2 or m/s^2]", float("nan"), above=0.0)
    has_jerk_limits: bool = param("whether max_jerk holds", False)
    max_jerk: float = param("[rad/s^3 or m/s^3]", float("nan"), above=0.0)
    has_effort_limits: bool = param("whether max_effort holds; the URDF may say it", False)
    max_effort: float = param("[Nm or N]; the URDF may say it", float("nan"), above=0.0)
    has_soft_limits: bool = param("whether the soft limits hold; the URDF may say it", False)
    soft_lower_limit: float = param("[rad or m]; the URDF may say it", float("nan"))
    soft_upper_limit: float = param("[rad or m]; the URDF may say it", float("nan"))
    k_position: float = param(
        "[1/s] gain towards the soft limit; the URDF may say it", 10.0, above=0.0
    )
    k_velocity: float = param(
        "gain of soft limits on effort commands; not used, as positions are commanded",
        float("nan"),
        low=0.0,
    )
    angle_wraparound: bool = param("a continuous joint; the URDF may say it", False)


def read_limits(
    where: str, joints: tuple[str, ...], values: Any, urdf: Urdf | None
) -> tuple[JointLimit, ...]:
    """Return the limits of ``joints``, in their order; ``where`` names the source of ``values``.

    Raises :class:`ConfigError` for a bad limit, one that is missing here and in ``urdf``, and one
    that is laxer than in ``urdf``.
    """
    if not isinstance(values, dict):
        raise ConfigError(where, "joint_limits", values, "a mapping from joint to limits")
    for name in values:
        if name not in joints:
            raise unknown_key(where, "joint_limits", str(name), joints)
    for name in joints:
        if name not in values:
            allowed = "required: every joint has limits"
            if urdf is not None:
                allowed += "; a URDF has none of acceleration, so at least that stands here"
            raise ConfigError(where, f"joint_limits.{name}", None, allowed)
    if urdf is None:
        return tuple(_read(where, name, values[name]) for name in joints)
    return tuple(_read_with(where, name, values[name], urdf) for name in joints)


def _read(where: str, joint: str, values: Any) -> JointLimit:
    key = f"joint_limits.{joint}"
    limit = build(JointLimit, values, where, key)
    _check(where, key, limit)
    return limit


def _check(where: str, key: str, limit: JointLimit) -> None:
    for kind in ("velocity", "acceleration"):
        if not getattr(limit, f"has_{kind}_limits"):
            raise ConfigError(where, f"{key}.has_{kind}_limits", False, "true: the gate needs it")
    if not limit.has_position_limits and not limit.angle_wraparound:
        raise ConfigError(
            where, f"{key}.has_position_limits", False, "true, unless angle_wraparound is true"
        )
    if limit.has_position_limits and limit.angle_wraparound:
        allowed = "false: a joint with position limits does not turn endlessly"
        raise ConfigError(where, f"{key}.angle_wraparound", True, allowed)
    for low_key, high_key, used in (
        ("min_position", "max_position", limit.has_position_limits),
        ("soft_lower_limit", "soft_upper_limit", limit.has_soft_limits),
    ):
        low, high = getattr(limit, low_key), getattr(limit, high_key)
        if used and not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ConfigError(
                where, f"{key}.{low_key}", (low, high), f"finite, and below {high_key}"
            )
    for kind in ("deceleration", "jerk", "effort"):
        if getattr(limit, f"has_{kind}_limits") and math.isnan(getattr(limit, f"max_{kind}")):
            raise ConfigError(where, f"{key}.max_{kind}", None, f"required by has_{kind}_limits")


def _read_with(where: str, name: str, values: Any, urdf: Urdf) -> JointLimit:
    """Return the limits of a joint: what ``values`` leave out is the URDF's."""
    joint = _joint(where, name, urdf)
    key = f"joint_limits.{name}"
    if not isinstance(values, dict):
        return _read(where, name, values)  # raises
    for missing in ("has_acceleration_limits", "max_acceleration"):
        if missing not in values:
            allowed = f"required: {urdf.path} cannot say it, a URDF has no acceleration"
            raise ConfigError(where, f"{key}.{missing}", None, allowed)
    if "max_velocity" not in values and joint.velocity is None:
        allowed = f"required: {urdf.path} has no velocity limit of it either"
        raise ConfigError(where, f"{key}.max_velocity", None, allowed)
    limit = build(JointLimit, {**_keys(joint), **values}, where, key)
    if limit.has_position_limits and "angle_wraparound" not in values:
        limit = replace(limit, angle_wraparound=False)  # bounded here, though not in the URDF
    limit = _clip_soft(where, key, limit, values, urdf)
    _check(where, key, limit)
    for bad_key, value, allowed in _laxer(limit, joint):
        raise ConfigError(where, f"{key}.{bad_key}", value, f"{allowed}, the limit in {urdf.path}")
    return limit


def _joint(where: str, name: str, urdf: Urdf) -> UrdfJoint:
    try:
        return urdf.joint(name)
    except LookupError:
        leader = urdf.mimics(name)
        known = ", ".join(urdf.moving)
        allowed = f"a moving joint of {urdf.path}: {known}"
        if leader is not None:
            allowed += f"; this one mimics {leader} and is not commanded"
        raise ConfigError(where, "robot.joints", name, allowed) from None


def _keys(joint: UrdfJoint) -> dict[str, Any]:
    """Return what the URDF says in ros2_control's keys (its joint_limits_urdf.hpp does the same).

    Soft limits of a joint without position limits would have nothing to be within: they are left.
    """
    keys: dict[str, Any] = {"has_position_limits": not joint.continuous}
    if joint.continuous:
        keys["angle_wraparound"] = True
    else:
        keys.update(min_position=joint.lower, max_position=joint.upper)
    if joint.velocity is not None:
        keys.update(has_velocity_limits=True, max_velocity=joint.velocity)
    if joint.effort is not None:
        keys.update(has_effort_limits=True, max_effort=joint.effort)
    if joint.soft_lower is not None:
        keys.update(
            has_soft_limits=True,
            soft_lower_limit=joint.soft_lower,
            soft_upper_limit=joint.soft_upper,
        )
        if joint.k_position is not None:
            keys.update(k_position=joint.k_position)
    return keys


def _clip_soft(
    where: str, key: str, limit: JointLimit, values: dict[str, Any], urdf: Urdf
) -> JointLimit:
    """Return ``limit`` with the URDF's soft limits within position limits that may be narrower."""
    if not (limit.has_soft_limits and limit.has_position_limits):
        return limit
    low, high = limit.soft_lower_limit, limit.soft_upper_limit
    if "soft_lower_limit" not in values:
        low = max(low, limit.min_position)
    if "soft_upper_limit" not in values:
        high = min(high, limit.max_position)
    if not low < high and "soft_lower_limit" not in values:
        soft = f"[{limit.soft_lower_limit:g}, {limit.soft_upper_limit:g}]"
        allowed = f"a range that meets the soft limits {soft} of {urdf.path}"
        found = (limit.min_position, limit.max_position)
        raise ConfigError(where, f"{key}.min_position", found, allowed)
    return replace(limit, soft_lower_limit=low, soft_upper_limit=high)


def _laxer(limit: JointLimit, joint: UrdfJoint) -> Iterator[tuple[str, object, str]]:
    """Yield key, value and what is allowed of each limit that is laxer than the URDF's."""
    if joint.lower is not None and joint.upper is not None:
        if not limit.has_position_limits:
            yield "has_position_limits", False, f"true: [{joint.lower:g}, {joint.upper:g}]"
        if limit.angle_wraparound:
            yield "angle_wraparound", True, f"false: [{joint.lower:g}, {joint.upper:g}]"
    if joint.soft_lower is not None and joint.soft_upper is not None and not limit.has_soft_limits:
        yield "has_soft_limits", False, f"true: [{joint.soft_lower:g}, {joint.soft_upper:g}]"
    if joint.effort is not None and not limit.has_effort_limits:
        yield "has_effort_limits", False, f"true: {joint.effort:g}"
    for key, least in (("min_position", joint.lower), ("soft_lower_limit", joint.soft_lower)):
        value = getattr(limit, key)
        if least is not None and not value >= least - TOLERANCE:
            yield key, value, f">= {least:g}"
    soft_gain = joint.k_position if joint.soft_lower is not None else None
    for key, most in (
        ("max_position", joint.upper),
        ("soft_upper_limit", joint.soft_upper),
        ("max_velocity", joint.velocity),
        ("max_effort", joint.effort),
        ("k_position", soft_gain),
    ):
        value = getattr(limit, key)
        if most is not None and not value <= most + TOLERANCE:
            yield key, value, f"<= {most:g}"
