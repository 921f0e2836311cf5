"""The node graph: the one place that says which processes a robot needs.

The launch file turns the result into launch actions, the runner into supervised child processes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vla_common.core.robot import Robot
from vla_common.core.urdf import PACKAGE

DEFAULT_INSTRUCTION = "reach the red cube"
"""What the simulated arm does when nobody says anything."""
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")


@dataclass(frozen=True)
class Options:
    """What the user chose on top of the robot file.

    ``bundle``: folder, already found; None: what the robot file names. ``use_sim``: None: as the
    robot file says. ``split``: every node of the pipeline in a process of its own.
    """

    bundle: Path | None = None
    instruction: str | None = None
    use_sim: bool | None = None
    log_level: str = "info"
    seed: int = 0
    video: Path | None = None
    split: bool = False


@dataclass(frozen=True)
class Process:
    """One process of the graph.

    ``overrides`` are parameters that win over ``parameter_file``. ``respawn``: a crash is mended
    by starting it again; otherwise the end of the process ends the graph.
    """

    name: str
    package: str
    executable: str
    nodes: tuple[str, ...]
    parameter_file: Path
    overrides: Mapping[str, str | int | float | bool]
    log_level: str = "info"
    respawn: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)

    def ros_arguments(self) -> tuple[str, ...]:
        """Return the command line arguments that give the node its parameters."""
        words = ["--ros-args", "--log-level", self.log_level]
        words += ["--params-file", str(self.parameter_file)]
        for key, value in self.overrides.items():
            # A JSON scalar is a YAML scalar of the same type, whatever words it holds.
            words += ["-p", f"{key}:={json.dumps(value)}"]
        return tuple(words)


PIPELINE = (
    ("vla_camera", "camera_ingest"),
    ("vla_features", "feature_cache"),
    ("vla_inference", "vla_inference"),
)


def simulated(robot: Robot, options: Options) -> bool:
    """Return whether the simulator takes the place of the drivers."""
    return robot.identity.simulated if options.use_sim is None else options.use_sim


def instruction_at_start(robot: Robot, options: Options) -> str | None:
    """Return the instruction that wins over the robot file's; None: the robot file's holds."""
    if options.instruction is None and not robot.model.instruction and simulated(robot, options):
        return DEFAULT_INSTRUCTION
    return options.instruction


def processes(robot: Robot, parameter_file: Path, options: Options) -> tuple[Process, ...]:
    """Return the processes of the graph, in the order in which they are started.

    Stopping goes the other way round: first what plans, then what checks, then what moves; so the
    arm runs out its verified stop tail while everything below still works.
    """
    common: dict[str, str | int | float | bool] = {}
    if options.bundle is not None:
        common["model.bundle"] = str(options.bundle)
    instruction = instruction_at_start(robot, options)
    if instruction is not None:
        common["model.instruction"] = instruction
    if robot.urdf_path is not None and not robot.identity.urdf.startswith(PACKAGE):
        common["robot.urdf"] = str(robot.urdf_path)  # a node does not know the file's folder

    def process(
        package: str,
        executable: str,
        nodes: tuple[str, ...] = (),
        own: Mapping[str, str | int | float | bool] | None = None,
    ) -> Process:
        return Process(
            name=executable,
            package=package,
            executable=executable,
            nodes=nodes or (executable,),
            parameter_file=parameter_file,
            overrides={**common, **(own or {})},
            log_level=options.log_level,
            # An arm that fell over is not the same arm after a restart: the graph ends with it.
            respawn=package != "vla_sim",
        )

    result = []
    if simulated(robot, options):
        own: dict[str, str | int | float | bool] = {"seed": options.seed}
        if options.video is not None:
            own["video"] = str(options.video)
        result.append(process("vla_sim", "sim_arm", own=own))
    result.append(process("vla_command", "joint_command_publisher"))
    result.append(process("vla_safety", "safety_gate"))
    if options.split:
        result += [process(package, name) for package, name in PIPELINE]
    else:
        nodes = tuple(name for _, name in PIPELINE)
        result.append(process("vla_inference", "pipeline", nodes=nodes))
    result.append(process("vla_monitor", "system_monitor"))
    return tuple(result)
