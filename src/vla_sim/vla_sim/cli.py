"""The command line of ``sim_arm``: short options in front of ROS's own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

DESCRIPTION = """A simulated seven-joint arm with two cameras and three cubes, in real time.

Publishes   /joint_states (100 Hz), the cameras' topics (30 Hz), ~/task_state (20 Hz),
            ~/desired (the controller's desired state, 200 Hz), /diagnostics;
            the images by a process of their own, node sim_arm_cameras
Subscribes  the controller's command topic (trajectory_msgs/JointTrajectory), /vla/instruction
Service     ~/reset (vla_msgs/srv/ResetScene): places the cubes by seed; the arm stays
"""
EPILOG = """ROS arguments may follow, e.g. --ros-args --params-file my_arm.yaml -p seed:=7.
The parameters 'silent', 'frozen' and 'dark' (also settable while running) name streams at fault, to
test what happens then: ros2 param set /sim_arm silent front,joint_states"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sim_arm",
        description=DESCRIPTION,
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--robot", type=Path, metavar="FILE", help="robot file (default: sim_arm)")
    parser.add_argument("--seed", type=int, help="places of the cubes, >= 0 (default: 0)")
    parser.add_argument("--video", metavar="FILE", help="record front camera and spectator, *.mp4")
    parser.add_argument("--record", metavar="FOLDER", help="log desired and measured motion there")
    return parser


def default_robot() -> Path | None:
    """Return the installed robot file of the simulated arm; None where it is not installed."""
    try:
        share = Path(get_package_share_directory("vla_bringup"))
    except PackageNotFoundError:
        return None
    path = share / "config" / "robots" / "sim_arm.yaml"
    return path if path.is_file() else None


def ros_arguments(argv: Sequence[str]) -> list[str]:
    """Return ``argv`` (with the program's name) with our options turned into ROS arguments."""
    split = list(argv).index("--ros-args") if "--ros-args" in argv else len(argv)
    options = _parser().parse_args(list(argv[1:split]))
    rest = list(argv[split:])
    robot = options.robot
    if robot is None and "--params-file" not in rest:
        robot = default_robot()
    added = [] if robot is None else ["--params-file", str(robot)]
    for name in ("seed", "video", "record"):
        value = getattr(options, name)
        if value is not None:
            added += ["-p", f"{name}:={value}"]
    return [
        argv[0],
        *(["--ros-args", *added] if added else []),
        *(["--"] if added and rest else []),
        *rest,
    ]
