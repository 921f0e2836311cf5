"""Everything that is checked before anything starts.

Every failure is one :class:`UserError` whose message names the file, the key, the value and what
is allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from vla_bringup.core import graph, places, urdf
from vla_common.core import robot as robot_file
from vla_common.core.errors import ConfigError
from vla_common.core.robot import Robot
from vla_inference.core import bundle as bundles
from vla_inference.core.bundle import Bundle

ShareOf = Callable[[str], Path]


@dataclass(frozen=True)
class Plan:
    """A graph that has passed every check and can be started."""

    robot_path: Path
    robot: Robot
    bundle_path: Path
    bundle: Bundle
    options: graph.Options
    processes: tuple[graph.Process, ...]


def plan(robot: str, bundle: str | None, options: graph.Options, share_of: ShareOf) -> Plan:
    """Check robot file, URDF and bundle and return the graph. Raises :class:`UserError`.

    ``robot``: name or path. ``bundle``: name or path; None: what the robot file names.
    ``share_of`` gives the share folder of an installed package, or raises LookupError.
    """
    where_to_look = places.roots(_share(share_of))
    robot_path = places.find_robot(robot, where_to_look)
    checked = robot_file.load(robot_path)
    check_urdf(checked, share_of)
    bundle_path = find_bundle(bundle, checked, where_to_look)
    loaded = bundles.load(bundle_path)
    bundles.check_robot(loaded, checked)
    chosen = replace(options, bundle=bundle_path)
    return Plan(
        robot_path=robot_path,
        robot=checked,
        bundle_path=bundle_path,
        bundle=loaded,
        options=chosen,
        processes=graph.processes(checked, robot_path, chosen),
    )


def find_bundle(bundle: str | None, robot: Robot, roots: tuple[Path, ...]) -> Path:
    """Return the folder of the bundle chosen, else of the robot file's. Raises ConfigError."""
    where, key = ("command line", "bundle") if bundle else (robot.source, "model.bundle")
    name = bundle or robot.model.bundle
    folders = tuple(root / "bundles" for root in roots)
    try:
        return bundles.find(name, folders)
    except ConfigError as error:
        known = places.known_bundles(folders)
        allowed = places.choices("a folder with a bundle.yaml", known, Path(name).name)
        raise ConfigError(where, key, name, allowed) from error


def check_urdf(robot: Robot, share_of: ShareOf) -> None:
    """Check the robot file against its URDF, where it names one. Raises :class:`ConfigError`."""
    if not robot.identity.urdf:
        return
    try:
        path = places.resolve_package(robot.identity.urdf, share_of)
    except LookupError as error:
        raise ConfigError(
            robot.source,
            "robot.urdf",
            robot.identity.urdf,
            "a path, or package://<package>/<path> of an installed package",
        ) from error
    urdf.check(robot, path)


def _share(share_of: ShareOf) -> Path | None:
    try:
        return share_of("vla_bringup")
    except LookupError:
        return None
