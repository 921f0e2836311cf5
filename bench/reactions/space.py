"""How near the arm came to what it must keep clear of: kinematics of its own, none of the gate's.

Distances of links are those of the URDF's own shapes (the gate takes capsules around them, so it
sees them nearer), frames are those of the simulator's Denavit-Hartenberg table.
"""

from __future__ import annotations

from collections.abc import Sequence

import coal
import numpy as np
import pinocchio as pin

from vla_common.core.robot import Robot
from vla_common.core.surroundings import Zone
from vla_sim.core.arm import frames

GRIPPER = 7
MARGIN = 1e-3
"""[m] by which the arm may come nearer than allowed: between the rows that the gate has checked,
and on the way from one path to the next, nothing is looked at."""


class Space:
    """The simulated arm among declared boxes and zones."""

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self.model = pin.buildModelFromUrdf(str(robot.urdf_path))
        kind = pin.GeometryType.COLLISION
        self.geometry = pin.buildGeomFromUrdf(self.model, str(robot.urdf_path), kind)
        links = [self.model.frames[o.parentFrame].name for o in self.geometry.geometryObjects]
        for name, solid in robot.surroundings.solids.items():
            place = pin.SE3(np.eye(3), np.array(solid.center))
            box = pin.GeometryObject(name, 0, 0, place, coal.Box(*solid.size))
            self.geometry.addGeometryObject(box)
        names = [*links, *robot.surroundings.solids]
        excluded = {frozenset(t.split(":")) for t in robot.surroundings.kinematics.exclude_pairs}
        for i, first in enumerate(names[: len(links)]):
            for k in range(i + 1, len(names)):
                self._pair(i, k, frozenset((first, names[k])) in excluded)
        self._data = self.model.createData(), self.geometry.createData()

    def _pair(self, first: int, second: int, excluded: bool) -> None:
        objects, parents = self.geometry.geometryObjects, self.model.parents
        a, b = objects[first].parentJoint, objects[second].parentJoint
        if not (excluded or a == b or parents[a] == b or parents[b] == a):
            self.geometry.addCollisionPair(pin.CollisionPair(first, second))

    def _bodies(self, q: np.ndarray) -> float:
        data, geometry = self._data
        pin.computeDistances(self.model, data, self.geometry, geometry, np.append(q, q[GRIPPER]))
        return float(min(result.min_distance for result in geometry.distanceResults))

    def _zones(self, rows: np.ndarray) -> float:
        poses = frames(rows)
        places = {"tcp": poses[-1][:, :3, 3], "elbow": poses[3][:, :3, 3]}
        zones = self._robot.surroundings.zones.values()
        return min(float(room(zone, places[f]).min()) for zone in zones for f in zone.frames)

    def too_near(self, positions: Sequence[np.ndarray]) -> str:
        """Return in words what came nearer than it may, by more than ``MARGIN``; empty: nothing."""
        bodies, zones = self.nearest(positions)
        stop = self._robot.surroundings.kinematics.stop_distance
        found = []
        if bodies < stop - MARGIN:
            found.append(f"a link was {1e3 * bodies:.1f} mm from something, {1e3 * stop:g} allowed")
        if zones < -MARGIN:
            found.append(f"a frame was {-1e3 * zones:.1f} mm outside its workspace")
        return "; ".join(found)

    def nearest(self, positions: Sequence[np.ndarray]) -> tuple[float, float]:
        """Return the smallest distance [m] of bodies, and of frames from what is not allowed."""
        rows = np.stack(positions)
        return min(self._bodies(q) for q in rows), self._zones(rows)


def room(zone: Zone, points: np.ndarray) -> np.ndarray:
    """Return how far points (n, 3) are inside what a zone allows [m]; negative: outside."""
    if zone.kind == "plane":
        normal = np.array(zone.normal) / np.linalg.norm(zone.normal)
        return np.asarray(points @ normal - zone.offset)
    within = np.minimum(points - np.array(zone.low), np.array(zone.high) - points).min(axis=1)
    return within if zone.kind == "inside" else -within
