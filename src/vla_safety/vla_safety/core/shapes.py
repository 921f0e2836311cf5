"""Shapes of coal: the links', made cheap and never smaller, and those of the surroundings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from vla_common.core.surroundings import Solid, Zone
from vla_safety.core.limits import Array


def simplified(coal: Any, shape: Any) -> tuple[Any, Array]:
    """Return a shape that encloses ``shape`` and is cheap, and its pose (4, 4) in the old one.

    A cylinder gets round ends, a mesh becomes a capsule; all others stay as they are.
    """
    if isinstance(shape, coal.Cylinder):
        return coal.Capsule(shape.radius, 2.0 * shape.halfLength), np.eye(4)
    if hasattr(shape, "num_vertices") and not hasattr(shape, "halfSide"):
        radius, length, pose = enclosing_capsule(np.array(shape.vertices(), dtype=np.float64))
        return coal.Capsule(radius, length), pose
    return shape, np.eye(4)


def enclosing_capsule(points: Array) -> tuple[float, float, Array]:
    """Return radius, length [m] and pose (4, 4) of a capsule around points (n, 3).

    Its z axis is the points' direction of largest spread. A point at height t and distance r from
    the axis is inside when an end of the core lies no further along than
    t -+ sqrt(radius^2 - r^2).
    """
    centre = points.mean(axis=0)
    _, _, axes = np.linalg.svd(points - centre, full_matrices=False)
    x, z = axes[1], axes[0]
    rotation = np.column_stack((x, np.cross(z, x), z))
    local = (points - centre) @ rotation
    middle = 0.5 * (local[:, :2].min(axis=0) + local[:, :2].max(axis=0))
    away = np.linalg.norm(local[:, :2] - middle, axis=1)
    radius = float(away.max()) * (1.0 + 1e-9) + 1e-9
    room = np.sqrt(radius**2 - away**2)
    low, high = float((local[:, 2] + room).min()), float((local[:, 2] - room).max())
    if low > high:  # one ball holds them all
        low = high = 0.5 * (low + high)
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = centre + rotation @ np.array([*middle, 0.5 * (low + high)])
    return radius, high - low, pose


def radius_about(shape: Any, placement: Any) -> float:
    """Return the radius [m] of a shape about the origin that ``placement`` counts from."""
    shape.computeLocalAABB()
    centre = placement.rotation @ np.array(shape.aabb_center) + placement.translation
    return float(np.linalg.norm(centre) + shape.aabb_radius)


def solid(pin: Any, coal: Any, found: Solid) -> tuple[Any, Any]:
    """Return the shape and the placement of a declared object."""
    placement = pin.SE3(pin.rpy.rpyToMatrix(*found.rpy), np.array(found.center))
    if found.kind == "box":
        return coal.Box(*found.size), placement
    if found.kind == "sphere":
        return coal.Sphere(found.radius), placement
    if found.kind == "capsule":
        return coal.Capsule(found.radius, found.length), placement
    return coal.Halfspace(np.array([0.0, 0.0, 1.0]), 0.0), placement


def forbidden(pin: Any, coal: Any, zone: Zone) -> Iterator[tuple[Any, Any]]:
    """Yield shape and placement of everything that is not allowed by a zone."""
    if zone.kind == "plane":
        normal = np.array(zone.normal) / np.linalg.norm(zone.normal)
        yield coal.Halfspace(normal, zone.offset), pin.SE3.Identity()
        return
    low, high = np.array(zone.low), np.array(zone.high)
    if zone.kind == "keep_out":
        yield coal.Box(*(high - low)), pin.SE3(np.eye(3), 0.5 * (low + high))
        return
    for axis in np.eye(3):  # a half-space holds the points with normal . x <= offset
        yield coal.Halfspace(axis, float(axis @ low)), pin.SE3.Identity()
        yield coal.Halfspace(-axis, -float(axis @ high)), pin.SE3.Identity()
