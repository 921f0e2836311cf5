"""The command line of the runner and of the evaluation."""

from __future__ import annotations

import argparse
from pathlib import Path

from vla_bringup.core import graph, places

EXAMPLES = """
examples (with make: make run ARGS="...")
  vla_run                                          the simulated arm, until Ctrl-C
  vla_run --instruction 'reach the blue cube' --seed 7 --video run.mp4
  vla_run --duration 60 --report out.json          measure for a minute
  vla_run --robot config/robots/mine.yaml --validate-only

While it runs, tell the arm something else:
  ros2 topic pub --once /vla/instruction vla_msgs/msg/Instruction "{text: reach the green cube}" \\
    --qos-durability transient_local

exit code: 0 ended as asked, 1 a process failed for good, 2 the set-up is wrong, nothing started
"""


def seconds(text: str) -> float:
    """Return a duration [s]; greater than zero."""
    value = float(text)
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: a number of seconds > 0")
    return value


def share(text: str) -> float:
    """Return a share, 0..1."""
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: 0..1")
    return value


def count(text: str) -> int:
    """Return a whole number >= 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: a whole number >= 1")
    return value


def seed(text: str) -> int:
    """Return a seed: a whole number that fits into 31 bits."""
    value = int(text)
    if not 0 <= value < 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: a whole number, 0..2147483647")
    return value


def common(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that runner and evaluation share."""
    known = ", ".join(places.robot_files(places.roots(None)))
    parser.add_argument(
        "--robot",
        default="sim_arm",
        metavar="NAME|FILE",
        help=f"robot: a name from config/robots ({known or 'none found'}), or a robot file",
    )
    parser.add_argument(
        "--bundle", metavar="NAME|FOLDER", help="model bundle (default: what the robot file names)"
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write what was measured to this JSON file"
    )
    parser.add_argument(
        "--video", type=Path, metavar="FILE.mp4", help="record the simulated cameras"
    )
    parser.add_argument(
        "--split", action="store_true", help="every node of the pipeline in a process of its own"
    )
    parser.add_argument("--log-level", default="info", choices=graph.LOG_LEVELS)
    parser.add_argument(
        "--no-view", action="store_true", help="plain lines in place of the live view"
    )
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("runs"),
        metavar="FOLDER",
        help="where the logs of each run go (default: runs)",
    )


def run_parser() -> argparse.ArgumentParser:
    """Return the runner's command line."""
    parser = argparse.ArgumentParser(
        prog="vla_run",
        description="Start the node graph of a robot, watch it, and stop it with the arm at rest.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common(parser)
    parser.add_argument(
        "--instruction",
        metavar="SENTENCE",
        help=f"what to do (default: the robot file's, in simulation {graph.DEFAULT_INSTRUCTION!r})",
    )
    parser.add_argument(
        "--use-sim",
        choices=("auto", "true", "false"),
        default="auto",
        help="start the simulated arm in place of drivers (default: as the robot file says)",
    )
    parser.add_argument(
        "--duration",
        type=seconds,
        metavar="S",
        help="stop this long after the first action (default: run until Ctrl-C)",
    )
    parser.add_argument(
        "--seed", type=seed, default=0, help="seed of the simulated scene (default: 0)"
    )
    parser.add_argument(
        "--validate-only", action="store_true", help="check robot file, URDF and bundle, then end"
    )
    return parser


def eval_parser() -> argparse.ArgumentParser:
    """Return the evaluation's command line."""
    parser = argparse.ArgumentParser(
        prog="vla_eval",
        description="Measure how often the arm reaches the cube that the sentence names, with the "
        "whole node graph. Each scene is played twice: once the sentence stays, once it names "
        "another cube while the arm is on its way.",
        epilog="exit code: 0 good enough, 1 not good enough or a process failed, 2 wrong set-up",
    )
    common(parser)
    parser.add_argument("--scenes", type=count, default=50, help="scenes (default: 50)")
    parser.add_argument(
        "--seed", type=seed, default=1000, help="seed of the first scene (default: 1000)"
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=10.0,
        metavar="S",
        help="time for one sentence (default: 10)",
    )
    parser.add_argument(
        "--min-success",
        type=share,
        default=0.8,
        metavar="SHARE",
        help="least success rate, for the named and for the other cube (default: 0.8)",
    )
    parser.add_argument(
        "--max-original",
        type=share,
        default=0.15,
        metavar="SHARE",
        help="how often the arm may go to the cube named before (default: 0.15)",
    )
    return parser
