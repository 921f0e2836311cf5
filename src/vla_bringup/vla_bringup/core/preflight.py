"""Everything that is checked before anything starts.

Every failure is one :class:`UserError` whose message names the file, the key, the value and what
is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from vla_bringup.core import graph, places
from vla_common.core import robot as robot_file
from vla_common.core.errors import ConfigError
from vla_common.core.robot import Robot
from vla_common.core.urdf import ShareOf, share_folders
from vla_inference.core import bundle as bundles
from vla_inference.core.bundle import Bundle
from vla_safety.core import clearance


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
    checked = robot_file.load(robot_path, share_of)
    clearance.load(checked, share_folders())
    if graph.simulated(checked, options):
        check_simulated(checked)
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


def check_simulated(robot: Robot) -> None:
    """Check that the simulator can stand for this robot. Raises :class:`ConfigError`."""
    from vla_sim.core import streams  # only here: a real robot needs no MuJoCo

    streams.check(robot)


def find_bundle(bundle: str | None, robot: Robot, roots: tuple[Path, ...]) -> Path:
    """Return the folder of the bundle chosen, else of the robot file's. Raises ConfigError."""
    where, key = ("command line", "bundle") if bundle else (robot.source, "model.bundle")
    name = bundle or robot.model.bundle
    folders = tuple(root / "bundles" for root in roots)
    try:
        return bundles.find(name, folders)
    except ConfigError as error:
        known = places.known_bundles(folders)
        wanted = "a folder with a bundle.yaml made for this robot"
        allowed = places.choices(wanted, known, Path(name).name)
        raise ConfigError(where, key, name, allowed) from error


def _share(share_of: ShareOf) -> Path | None:
    try:
        return share_of("vla_bringup")
    except LookupError:
        return None
