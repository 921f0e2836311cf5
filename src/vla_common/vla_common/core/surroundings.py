"""The robot file's sections about space: where the arm may be, and what it must not touch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

from vla_common.core.errors import ConfigError
from vla_common.core.schema import build, param, unknown_key

T = TypeVar("T")
Point = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Kinematics:
    """The gate's checks of workspace and collision; they need robot.urdf and Pinocchio."""

    enabled: bool = param(
        "false: no check of workspace or collision at all; required where robot.urdf is empty", True
    )
    slow_distance: float = param(
        "[m] motion that comes nearer than this to something is slowed", 0.05, above=0.0
    )
    stop_distance: float = param(
        "[m] the arm never comes nearer than this to itself or to an object", 0.02, low=0.0
    )
    slowest: float = param("of the velocity limits, just before the stop", 0.1, above=0.0, high=1.0)
    elbow_frame: str = param("URDF link that workspace zones call elbow", "")
    self_collision: bool = param("check the arm against itself", True)
    exclude_pairs: tuple[str, ...] = param(
        "pairs that may touch: link:link, or link:object; adjacent links are excluded anyhow", ()
    )
    fixed_joints: tuple[str, ...] = param("joints of the URDF that are not commanded", ())
    fixed_positions: tuple[float, ...] = param("where they stand [rad or m], one each", ())


@dataclass(frozen=True, kw_only=True)
class Zone:
    """One condition on the origins of some frames, in robot.base_frame."""

    kind: str = param(
        "inside: within the box; keep_out: outside of the box; plane: on the normal's side",
        choices=("inside", "keep_out", "plane"),
    )
    frames: tuple[str, ...] = param("URDF links; tcp and elbow are those that the robot file names")
    low: Point = param("[m] corner of the box with the smallest x, y, z", (), length=3)
    high: Point = param("[m] corner of the box with the largest x, y, z", (), length=3)
    normal: Point = param("direction of the plane's free side", (), length=3)
    offset: float = param("[m] of the plane from the origin, along the normal", 0.0)


@dataclass(frozen=True, kw_only=True)
class Solid:
    """One thing that does not move, in robot.base_frame."""

    kind: str = param("shape", choices=("box", "sphere", "capsule", "half_space"))
    center: Point = param("[m]; of a half_space: a point of its surface", length=3)
    rpy: Point = param(
        "[rad] roll, pitch, yaw; a capsule lies along z, a half_space ends there",
        (0.0, 0.0, 0.0),
        length=3,
    )
    size: Point = param("[m] edges of a box", (), length=3)
    radius: float = param("[m] of a sphere or a capsule", 0.0, low=0.0)
    length: float = param("[m] of a capsule, without its round ends", 0.0, low=0.0)


@dataclass(frozen=True)
class Surroundings:
    """Everything that the gate's kinematic checks are told."""

    kinematics: Kinematics
    zones: dict[str, Zone]
    solids: dict[str, Solid]


def named(cls: type[T], values: Any, where: str, section: str) -> dict[str, T]:
    """Return a section that lists ``names`` and has one part for each. Raises ConfigError."""
    if values == {}:
        return {}
    listed = values.get("names") if isinstance(values, dict) else None
    if not isinstance(listed, (list, tuple)) or not listed:
        raise ConfigError(where, f"{section}.names", listed, "required: a list of names")
    names = tuple(str(n) for n in listed)
    if len(set(names)) != len(names):
        raise ConfigError(where, f"{section}.names", names, "names that differ")
    for key in values:
        if key != "names" and key not in names:
            raise unknown_key(where, section, str(key), ("names", *names))
    for name in names:
        if name not in values:
            raise ConfigError(
                where, f"{section}.{name}", None, f"required: named in {section}.names"
            )
    return {n: build(cls, values[n], where, f"{section}.{n}") for n in names}


def read(values: dict[str, Any], where: str, urdf: str) -> Surroundings:
    """Return the three sections of a robot file. Raises :class:`ConfigError`."""
    kinematics = build(Kinematics, values.get("kinematics", {}), where, "kinematics")
    zones = named(Zone, values.get("workspace", {}), where, "workspace")
    solids = named(Solid, values.get("collision", {}), where, "collision")
    _check_kinematics(kinematics, where)
    for name, zone in zones.items():
        _check_zone(zone, where, f"workspace.{name}")
    for name, solid in solids.items():
        _check_solid(solid, where, f"collision.{name}")
    for section, found in (("workspace", zones), ("collision", solids)):
        if found and not urdf:
            raise ConfigError(where, "robot.urdf", urdf, f"a URDF: the section {section} needs one")
    if kinematics.enabled and not urdf:
        raise needs_urdf(where)
    return Surroundings(kinematics, zones, solids)


def needs_urdf(where: str) -> ConfigError:
    """Return the error for a robot whose kinematic checks are on, but that names no URDF."""
    allowed = (
        "a URDF, which the checks of workspace and collision need; to do without these checks "
        "say so by name: kinematics.enabled: false"
    )
    return ConfigError(where, "robot.urdf", "", allowed)


def _check_kinematics(found: Kinematics, where: str) -> None:
    if not found.stop_distance < found.slow_distance:
        raise ConfigError(
            where,
            "kinematics.stop_distance",
            found.stop_distance,
            f"< slow_distance = {found.slow_distance:g}",
        )
    if len(found.fixed_positions) != len(found.fixed_joints):
        raise ConfigError(
            where,
            "kinematics.fixed_positions",
            found.fixed_positions,
            f"{len(found.fixed_joints)} values, one for each of fixed_joints",
        )
    for pair in found.exclude_pairs:
        if len(set(pair.split(":"))) != 2 or not all(pair.split(":")):
            raise ConfigError(
                where, "kinematics.exclude_pairs", pair, "two different names as in link5:link7"
            )


def _unused(found: Zone | Solid, keys: tuple[str, ...], where: str, place: str) -> None:
    for key in keys:
        value = getattr(found, key)
        if value:
            raise ConfigError(where, f"{place}.{key}", value, f"nothing: not for a {found.kind}")


def _check_zone(zone: Zone, where: str, place: str) -> None:
    if not zone.frames:
        raise ConfigError(where, f"{place}.frames", zone.frames, "at least one frame")
    if zone.kind == "plane":
        _unused(zone, ("low", "high"), where, place)
        if not zone.normal or math.hypot(*zone.normal) < 1e-6:
            raise ConfigError(where, f"{place}.normal", zone.normal, "three numbers, not all zero")
        return
    _unused(zone, ("normal", "offset"), where, place)
    for key in ("low", "high"):
        if not getattr(zone, key):
            raise ConfigError(where, f"{place}.{key}", None, f"required for {zone.kind}: [x, y, z]")
    if not all(low < high for low, high in zip(zone.low, zone.high)):
        raise ConfigError(where, f"{place}.low", zone.low, f"each below high = {zone.high}")


def _check_solid(solid: Solid, where: str, place: str) -> None:
    uses = {"box": ("size",), "sphere": ("radius",), "capsule": ("radius", "length")}
    mine = uses.get(solid.kind, ())
    _unused(solid, tuple({"size", "radius", "length"} - set(mine)), where, place)
    for key in mine:
        value = getattr(solid, key)
        good = len(value) == 3 and min(value) > 0.0 if key == "size" else value > 0.0
        if not good:
            words = "three numbers > 0" if key == "size" else "a number > 0"
            raise ConfigError(where, f"{place}.{key}", value, f"{words}, for a {solid.kind}")
