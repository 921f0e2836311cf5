"""What is checked against what: links with links and objects, frames with zones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_common.core.errors import ConfigError
from vla_common.core.robot import Robot
from vla_safety.core import shapes
from vla_safety.core.kinematics import Arm
from vla_safety.core.limits import Array
from vla_safety.core.reasons import Reason


@dataclass(frozen=True, eq=False)
class Pair:
    """Two things that must stay ``limit`` [m] apart.

    ``reach`` (joints,): their distance changes by at most this much per unit of each joint.
    """

    name: str
    reason: Reason
    limit: float
    reach: Array


class Pairs:
    """All pairs of a robot, in the order of the geometry's collision pairs.

    Raises :class:`ConfigError` for names that the URDF and the robot file do not know.
    """

    def __init__(self, robot: Robot, arm: Arm) -> None:
        self._robot = robot
        self._arm = arm
        self._found: list[Pair] = []
        settings = robot.surroundings.kinematics
        links = self._links()
        objects = self._objects()
        excluded = self._excluded(links + objects)
        if settings.self_collision:
            for i, first in enumerate(links):
                for second in links[i + 1 :]:
                    joints = [self._object(k).parentJoint for k, _ in (first, second)]
                    if not arm.adjacent(*joints):
                        self._collision(first, second, excluded)
        for link in links:
            for other in objects:
                self._collision(link, other, excluded)
        for name in robot.surroundings.zones:
            self._zone(name)

    def all(self) -> tuple[Pair, ...]:
        """Return the pairs."""
        return tuple(self._found)

    def _object(self, index: int) -> Any:
        return self._arm.geometry.geometryObjects[index]

    def _links(self) -> list[tuple[int, str]]:
        """Simplify the links' shapes; return index and link of each."""
        arm, found = self._arm, []
        for index, item in enumerate(arm.geometry.geometryObjects):
            shape, pose = shapes.simplified(arm.coal, item.geometry)
            item.geometry = shape
            item.placement = item.placement * arm.pin.SE3(pose)
            found.append((index, arm.model.frames[item.parentFrame].name))
        return found

    def _add(self, name: str, joint: int, placement: Any, shape: Any) -> int:
        arm = self._arm
        made = arm.pin.GeometryObject(name, joint, 0, placement, shape)
        return int(arm.geometry.addGeometryObject(made))

    def _objects(self) -> list[tuple[int, str]]:
        arm, found = self._arm, []
        for name, given in self._robot.surroundings.solids.items():
            shape, placement = shapes.solid(arm.pin, arm.coal, given)
            found.append((self._add(f"collision.{name}", 0, arm.base * placement, shape), name))
        return found

    def _excluded(self, things: list[tuple[int, str]]) -> set[frozenset[str]]:
        known = sorted({name for _, name in things})
        found = set()
        for text in self._robot.surroundings.kinematics.exclude_pairs:
            pair = frozenset(text.split(":"))
            for name in sorted(pair):
                if name not in known:
                    raise ConfigError(
                        self._robot.source,
                        "kinematics.exclude_pairs",
                        text,
                        f"names of links with a collision shape, or of objects, and {name!r} is "
                        f"none: {', '.join(known)}",
                    )
            found.add(pair)
        return found

    def _collision(
        self, first: tuple[int, str], second: tuple[int, str], excluded: set[frozenset[str]]
    ) -> None:
        if frozenset((first[1], second[1])) in excluded:
            return
        stop = self._robot.surroundings.kinematics.stop_distance
        self._pair(first[0], second[0], f"{first[1]}:{second[1]}", Reason.COLLISION, stop)

    def _pair(self, a: int, b: int, name: str, reason: Reason, limit: float) -> bool:
        """Add a pair; return False for one that no joint moves."""
        arm, ends = self._arm, (self._object(a), self._object(b))
        chains = arm.chain(*(end.parentJoint for end in ends))
        if not any(chains):
            return False
        reach = np.zeros(len(self._robot.joints))
        for end, chain in zip(ends, chains):
            if chain:
                radius = shapes.radius_about(end.geometry, end.placement)
                reach += arm.reach(end.parentJoint, radius, chain)
        arm.geometry.addCollisionPair(arm.pin.CollisionPair(a, b))
        self._found.append(Pair(name, reason, limit, reach))
        return True

    def _zone(self, name: str) -> None:
        arm, zone = self._arm, self._robot.surroundings.zones[name]
        walls = [
            self._add(f"workspace.{name}.{number}", 0, arm.base * placement, shape)
            for number, (shape, placement) in enumerate(shapes.forbidden(arm.pin, arm.coal, zone))
        ]
        for frame_name in zone.frames:
            key = f"workspace.{name}.frames"
            frame = arm.frame(self._link_of(frame_name, key), key)
            point = self._add(
                f"workspace.{name}.{frame_name}",
                frame.parentJoint,
                frame.placement,
                arm.coal.Sphere(0.0),
            )
            for wall in walls:
                if not self._pair(
                    point, wall, f"{frame_name}:workspace.{name}", Reason.WORKSPACE, 0.0
                ):
                    raise ConfigError(self._robot.source, key, frame_name, "a link that moves")

    def _link_of(self, frame: str, key: str) -> str:
        if frame == "tcp":
            return self._robot.identity.tcp_frame
        if frame == "elbow":
            elbow = self._robot.surroundings.kinematics.elbow_frame
            if not elbow:
                raise ConfigError(
                    self._robot.source,
                    "kinematics.elbow_frame",
                    elbow,
                    f"a link of the URDF: {key} names the elbow",
                )
            return elbow
        return frame
