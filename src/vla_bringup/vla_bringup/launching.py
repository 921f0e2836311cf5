"""The graph as launch actions: what the launch files stand on."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from pathlib import Path

from launch import LaunchContext
from launch.actions import ExecuteLocal, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from vla_bringup.core import graph, places, preflight
from vla_bringup.core.lock import InstanceLock, instance_lock
from vla_bringup.core.supervision import BACKOFF_NS, LIMIT
from vla_common.core import robot as robot_file
from vla_common.core.transport import PROFILE_VARIABLES
from vla_common.core.urdf import installed_share

_held: list[InstanceLock] = []
"""Locks of this process: given back when it ends."""


def known_robots() -> list[str]:
    """Return the names of the robot files."""
    return list(places.robot_files(places.roots(installed_share("vla_bringup"))))


def fast_dds_profile(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variable that gives Fast DDS our settings; empty when the user has set some."""
    if any(name in environment for name in PROFILE_VARIABLES):
        return {}
    return {PROFILE_VARIABLES[0]: str(installed_share("vla_bringup") / "config" / "fastdds.xml")}


def action(process: graph.Process) -> Node:
    """Return the launch action that starts a process of the graph."""
    # Humble's launch starts a process again without end: it has no limit to give.
    known = inspect.signature(ExecuteLocal.__init__).parameters
    retries = {"respawn_max_retries": LIMIT} if "respawn_max_retries" in known else {}
    end = None if process.respawn else [Shutdown(reason=f"{process.name} ended")]
    return Node(
        package=process.package,
        executable=process.executable,
        parameters=[str(process.parameter_file), dict(process.overrides)],
        ros_arguments=["--log-level", process.log_level],
        additional_env={**fast_dds_profile(os.environ), **process.environment},
        output="screen",
        emulate_tty=True,
        respawn=process.respawn,
        respawn_delay=BACKOFF_NS * 1e-9,
        on_exit=end,
        **retries,
    )


def start_robot(context: LaunchContext) -> list[Node]:
    """Check everything and return the processes of the graph.

    Raises :class:`UserError`, at which launch ends before it has started anything.
    """

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    options = graph.Options(
        instruction=value("instruction") or None,
        use_sim={"auto": None, "true": True, "false": False}[value("use_sim")],
        log_level=value("log_level"),
    )
    plan = preflight.plan(value("robot"), value("bundle") or None, options, installed_share)
    lock = instance_lock(dict(os.environ))
    lock.acquire()
    _held.append(lock)
    return [action(process) for process in plan.processes]


def start_simulator(context: LaunchContext) -> list[Node]:
    """Return the simulator's process alone. Raises :class:`UserError`."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    path = places.find_robot(value("robot"), places.roots(installed_share("vla_bringup")))
    video = value("video")
    options = graph.Options(
        use_sim=True,
        log_level=value("log_level"),
        seed=int(value("seed")),
        video=Path(video).absolute() if video else None,
    )
    robot = robot_file.load(path)
    return [action(p) for p in graph.processes(robot, path, options) if p.package == "vla_sim"]
