"""One round: starts one of the two chains with camera and controller, measures, stops it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml
from analysis import Measured, naive_round, our_round
from camera import CAMERAS, HOME, JOINTS

SETTLE = 12.0  # [s] in which our 20 Hz tick finds its place after the images; not measured
HEAD_START = 6.0  # [s] for the others to be up before the gate enables itself
HERE = Path(__file__).resolve().parent
NAIVE = ("ingest", "feature", "inference", "gate", "publisher")
OURS = (  # the gate last: the publisher moves only after it has seen the gate disabled
    ("vla_command", "joint_command_publisher"),
    ("vla_inference", "pipeline"),
    ("vla_safety", "safety_gate"),
)
# FR3: position [rad], velocity [rad/s]; the limits do not matter here, the arm stands still.
POSITION = (
    (-2.74, 2.74),
    (-1.78, 1.78),
    (-2.9, 2.9),
    (-3.04, -0.15),
    (-2.81, 2.81),
    (0.54, 4.52),
    (-3.02, 3.02),
    (0.0, 0.04),
)


def robot_file(bundle: Path, rate: float, cameras: tuple[str, ...]) -> dict[str, Any]:
    """Return a robot file for the null bundle and the benchmark's cameras."""
    limits = {
        name: {
            "has_position_limits": True,
            "min_position": low,
            "max_position": high,
            "has_velocity_limits": True,
            "max_velocity": 1.0,
            "has_acceleration_limits": True,
            "max_acceleration": 5.0,
        }
        for name, (low, high) in zip(JOINTS, POSITION)
    }
    parameters = {
        "robot": {
            "name": "bench",
            "joints": JOINTS,
            "grippers": ["gripper"],
            "home": HOME,
            "simulated": True,
        },
        "joint_limits": limits,
        "cameras": {
            "names": list(cameras),
            **{
                name: {
                    "topic": f"/camera/{name}/image_raw",
                    "width": 640,
                    "height": 480,
                    "encoding": "rgb8",
                    "rate": rate,
                }
                for name in cameras
            },
        },
        "model": {"bundle": str(bundle), "instruction": "hold still"},
        "safety": {"auto_enable": True},
        "controller": {"check_parameters": False},
        "kinematics": {"enabled": False},  # the robot of the benchmark has no URDF
    }
    return {"/**": {"ros__parameters": parameters}}


@dataclass
class Chain:
    """The processes of a round, in starting order."""

    folder: Path
    environment: dict[str, str]
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def start(self, name: str, command: list[str]) -> None:
        """Start a process; what it says goes to ``<name>.log``."""
        log = (self.folder / f"{name}.log").open("w")
        self.processes[name] = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            start_new_session=True,
        )

    def check(self) -> None:
        """Raise RuntimeError when a process has ended, with the end of its log."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                text = (self.folder / f"{name}.log").read_text()[-2000:]
                raise RuntimeError(f"{name} ended with {process.returncode}:\n{text}")

    def said(self, name: str, words: str) -> bool:
        """Return whether a process has said something."""
        return words in (self.folder / f"{name}.log").read_text()

    def cpu_seconds(self, names: list[str]) -> float:
        """Return user and system time of processes and their children [s]."""
        total = 0.0
        for name in names:
            times = psutil.Process(self.processes[name].pid).cpu_times()
            total += times.user + times.system
        return total

    def stop(self, *names: str) -> None:
        """Stop the named processes (all, without a name): SIGINT, then SIGKILL after 10 s."""
        chosen = names or tuple(reversed(self.processes))
        for name in chosen:
            if self.processes[name].poll() is None:
                self.processes[name].send_signal(signal.SIGINT)
        deadline = time.monotonic() + 10.0
        for name in chosen:
            try:
                self.processes[name].wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.processes[name].kill()
                self.processes[name].wait()
        for name in chosen:
            del self.processes[name]


def start_chain(chain: Chain, kind: str, bundle: Path, rate: float, cameras: int) -> list[str]:
    """Start the naive or our chain; return the names of its processes."""
    if kind == "naive":
        for role in NAIVE:
            log = str(chain.folder / "commands.txt")
            script = str(HERE / "naive" / "chain.py")
            chain.start(
                role, [sys.executable, script, role, "--cameras", str(cameras), "--log", log]
            )
        return list(NAIVE)
    from ament_index_python.packages import get_package_prefix

    file = chain.folder / "robot.yaml"
    file.write_text(yaml.safe_dump(robot_file(bundle, rate, CAMERAS[:cameras])))
    for package, executable in OURS:
        if executable == "safety_gate":
            time.sleep(HEAD_START)
        path = Path(get_package_prefix(package), "lib", package, executable)
        chain.start(executable, [str(path), "--ros-args", "--params-file", str(file)])
    return [executable for _, executable in OURS]


def wait_for_commands(chain: Chain, timeout: float = 60.0) -> None:
    """Wait until the first command arrives at the controller; raises RuntimeError."""
    deadline = time.monotonic() + timeout
    while not chain.said("controller", "first command"):
        chain.check()
        if time.monotonic() > deadline:
            logs = "\n".join(
                f"--- {p.name}\n{p.read_text()[-1500:]}" for p in sorted(chain.folder.glob("*.log"))
            )
            raise RuntimeError(f"no command within {timeout:g} s\n{logs}")
        time.sleep(0.1)


def play(
    kind: str,
    folder: Path,
    bundle: Path,
    rate: float,
    cameras: int,
    seconds: float,
    profile: Path | None,
) -> tuple[Measured, float]:
    """Play one round; return what was measured and the CPU time per second of the chain."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if k != "FASTRTPS_DEFAULT_PROFILES_FILE"}
    if profile is not None:
        environment["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(profile)
    chain = Chain(folder, environment)
    camera_log, sink_log = folder / "frames.txt", folder / "sink.txt"
    try:
        chain.start(
            "controller", [sys.executable, str(HERE / "controller.py"), "--log", str(sink_log)]
        )
        names = start_chain(chain, kind, bundle, rate, cameras)
        chain.start(
            "camera",
            [
                sys.executable,
                str(HERE / "camera.py"),
                "--rate",
                str(rate),
                "--cameras",
                str(cameras),
                "--log",
                str(camera_log),
            ],
        )
        wait_for_commands(chain)
        time.sleep(SETTLE)
        start_ns, cpu = time.monotonic_ns(), chain.cpu_seconds(names)
        time.sleep(seconds)
        end_ns, cpu = time.monotonic_ns(), chain.cpu_seconds(names) - cpu
        chain.check()
        chain.stop("camera")
        time.sleep(2.0)  # what is under way arrives; diagnostics tell the last counts
    finally:
        chain.stop()
    window = (start_ns, end_ns)
    if kind == "naive":
        measured = naive_round(camera_log, folder / "commands.txt", window)
    else:
        measured = our_round(camera_log, sink_log, window)
    return measured, cpu / ((end_ns - start_ns) * 1e-9)
