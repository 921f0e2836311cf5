"""What the safety gate costs for one plan, by part, with its kinematic checks.

One and two arms of the simulated kind, 7 joints each, over a table: self-collision, collision
with the table, and a workspace for TCP and elbow, in every row of the path and of its stop tail.
Plans come at 20 Hz of simulated time; the parts are timed one by one. It uses neither ROS topics
nor other processes: what the gate's process adds is in the tables of bench/run.py.

``make bench`` runs it; alone: ``python bench/gate_cost.py --page docs/safety.md``.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import sys
import tempfile
import time
import tracemalloc
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import page

from vla_common.core.robot import Robot, from_parameters, read_parameters
from vla_common.core.trace import Trace
from vla_safety.core import clearance
from vla_safety.core.gate import Gate
from vla_safety.core.state_machine import ENABLED
from vla_safety.core.values import RawChunk

ROOT = Path(__file__).resolve().parent.parent
ROBOT = ROOT / "config" / "robots" / "sim_arm.yaml"
URDF = ROOT / "src" / "vla_sim" / "vla_sim" / "models" / "sim_arm.urdf"
APART = 0.9  # [m] between the two arms' bases
AIM_MS = {7: 0.5, 14: 1.0}
PERIOD_NS = 50_000_000
SWING = 0.25  # [rad] of every joint about home
DIP = 0.7  # [rad] half of what the shoulder leans forward into the table
DIP_S = 6.0  # [s] from home to home
BEGIN, END = page.marks("cost", "bench/gate_cost.py")
PARTS = ("on_chunk, whole", "reference", "planner", "clearance", "tick")


def arms_urdf(count: int) -> str:
    """Return ``count`` arms side by side, hands closed and without finger joints."""
    world = ET.Element("robot", name="arms")
    ET.SubElement(world, "link", name="ground")
    for number in range(count):
        prefix = f"a{number}_"
        for element in copy.deepcopy(ET.parse(URDF).getroot()):
            element.set("name", prefix + element.get("name", ""))
            for end in [*element.findall("parent"), *element.findall("child")]:
                end.set("link", prefix + end.get("link", ""))
            if element.get("type") == "prismatic":
                element.set("type", "fixed")
            for mimic in element.findall("mimic"):
                element.remove(mimic)
            world.append(element)
        mount = ET.SubElement(world, "joint", name=prefix + "mount", type="fixed")
        ET.SubElement(mount, "parent", link="ground")
        ET.SubElement(mount, "child", link=prefix + "link0")
        ET.SubElement(mount, "origin", xyz=f"0 {number * APART} 0")
    return ET.tostring(world, encoding="unicode")


def arms_robot(count: int) -> dict[str, Any]:
    """Return the parameters of ``count`` arms, out of the simulated arm's file."""
    values = read_parameters(ROBOT)
    arms = [f"a{number}_" for number in range(count)]
    joints = values["robot"]["joints"][:7]
    values["robot"] |= {
        "joints": [arm + joint for arm in arms for joint in joints],
        "grippers": [],
        "home": values["robot"]["home"][:7] * count,
        "base_frame": "ground",
        "tcp_frame": "a0_tcp",
    }
    values["joint_limits"] = {
        arm + joint: values["joint_limits"][joint] for arm in arms for joint in joints
    }
    pairs = [pair.split(":") for pair in values["kinematics"]["exclude_pairs"]]
    # With fixed fingers a hand is one body with link7: it is next to link6.
    values["kinematics"] = {
        "elbow_frame": "a0_link4",
        "exclude_pairs": [f"{arm}{a}:{arm}{b}" for arm in arms for a, b in pairs],
    }
    frames = [arm + link for arm in arms for link in ("tcp", "link4")]
    for name in values["workspace"]["names"]:
        values["workspace"][name]["frames"] = frames
    values["workspace"]["room"]["high"][1] += APART * (count - 1)
    table = values["collision"]["table"]
    table["center"][1] += APART * (count - 1) / 2
    table["size"][1] += APART * (count - 1)
    values["safety"] = {"soft_start_ms": 0.0, "estop_required": False}
    return values


def load(values: dict[str, Any], count: int) -> tuple[Robot, clearance.Clearance | None]:
    """Return the robot of these parameters, and its checks."""
    with tempfile.TemporaryDirectory(prefix="vla_gate_") as folder:
        path = Path(folder) / "arms.urdf"
        path.write_text(arms_urdf(count), encoding="utf-8")
        values["robot"]["urdf"] = str(path)
        robot = from_parameters(values, f"{count} arms")
        return robot, clearance.load(robot)


class Timed:
    """Wraps a call and keeps what each took [ms], by the clock and of this thread's CPU time.

    Whatever else the machine does counts by the clock only.
    """

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call
        self.ms: list[float] = []
        self.cpu_ms: list[float] = []

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call, and note the time."""
        cpu_ns, begun_ns = time.thread_time_ns(), time.perf_counter_ns()
        result = self._call(*arguments, **named)
        self.ms.append((time.perf_counter_ns() - begun_ns) * 1e-6)
        self.cpu_ms.append((time.thread_time_ns() - cpu_ns) * 1e-6)
        return result


def plan_rows(
    home: np.ndarray, seconds: float, dip: float, phase: np.ndarray, rows: int = 8
) -> np.ndarray:
    """Return a plan (rows, joints) that swings about ``home`` and leans forward, ``dip`` [rad]."""
    swing = SWING
    times = seconds + 0.05 * np.arange(1, rows + 1)[:, None]
    rates = 0.35 + 0.09 * (np.arange(len(home)) % 7)
    start = min(1.0, seconds / 2.0)
    wanted = home + start * swing * np.sin(2 * np.pi * rates * times + phase)
    down = 1.0 - np.cos(2 * np.pi * times / DIP_S)
    wanted[:, 1::7] += dip * down  # the shoulder: the hand goes into the table, and comes back
    return np.asarray(wanted)


def measure(count: int, dip: float, plans: int, checked: bool = True) -> dict[str, Any]:
    """Send plans through a gate; return what each part took and what the checks looked at."""
    values = arms_robot(count)
    if not checked:
        values["kinematics"] = {"enabled": False}
    robot, checks = load(values, count)
    gate = Gate(robot, checks)
    home, now = np.array(robot.identity.home), 10_000_000_000
    phase = np.random.default_rng(0).uniform(0, 2 * np.pi, len(home))
    motion = gate.motion
    parts = {
        "on_chunk, whole": Timed(gate.on_chunk),
        "reference": Timed(motion.reference),
        "planner": Timed(motion.planner.follow),
        "tick": Timed(gate.tick),
    }
    motion.reference = parts["reference"]  # type: ignore[method-assign]
    motion.planner.follow = parts["planner"]  # type: ignore[method-assign]
    if checks is not None:
        parts["clearance"] = Timed(checks.check)
        checks.check = parts["clearance"]  # type: ignore[method-assign]
    names = list(robot.joints)
    for _ in range(10):  # a path that stands still goes out, and the publisher takes it
        now += PERIOD_NS
        neighbours(gate, names, home, now)
        gate.tick(now)
    neighbours(gate, names, home, now)
    allowed, why = gate.enable(now)
    if not allowed:
        raise RuntimeError(why)
    rows, held, eased = 0, 0, 0
    gc.collect()
    gc.freeze()
    for number in range(plans):
        now += PERIOD_NS
        q = motion.command(now)[0]
        neighbours(gate, names, q, now)
        parts["tick"](now)
        # towards what is wanted, but never so far ahead that it would be a jump
        wanted = plan_rows(home, number * 0.05, dip, phase)
        wanted = q + np.clip(wanted - q, -0.07 * np.arange(1, 9)[:, None], 0.07 * np.arange(1, 9)[:, None])  # fmt: skip  # noqa: E501
        parts["on_chunk, whole"](raw(gate, names, wanted, number, now), now)
        held += gate.state.name == "HOLD"
        eased += motion.ease < 1.0
        rows += len(motion.path.q) if motion.path is not None else 0
    return {
        "joints": len(home),
        "pairs": len(checks.pairs) if checks else 0,
        "rows": rows / plans,
        "held": held / plans,
        "eased": eased / plans,
        "searched": checks.searched / plans if checks else 0.0,
        "parts": {
            name: {
                **summary(timed.ms[20:]),
                "cpu_p99": float(np.percentile(timed.cpu_ms[20:], 99)),
            }
            for name, timed in parts.items()
        },
    }


def neighbours(gate: Gate, names: list[str], q: np.ndarray, now: int) -> None:
    """Tell the gate that arm, cameras and publisher are as they should be."""
    gate.on_joint_state(names, q.tolist(), [0.0] * len(q), now)
    cameras = list(gate.robot.camera_names)
    count = len(cameras)
    gate.on_camera_health(now, cameras, [20.0] * count, [1] * count, [0] * count, [""] * count, now)
    enabled = gate.state in ENABLED
    gate.on_command_state(2 if enabled else 1, "", gate.announcer.seq, [], now)


def raw(gate: Gate, names: list[str], rows: np.ndarray, number: int, now: int) -> RawChunk:
    """Return a good chunk that is sent now."""
    return RawChunk(
        epoch=max(1, gate.checks.min_epoch),
        seq=number + 1,
        joint_names=names,
        step_dt=0.05,
        horizon=len(rows),
        start_ns=now + PERIOD_NS,
        positions=rows.ravel(),
        capture_ns=now - 60_000_000,
        stamp_ns=1_700_000_000_000_000_000 + now,
        confidence=1.0,
        trace=Trace(),
    )


def summary(values: list[float]) -> dict[str, float]:
    """Return percentiles [ms]; empty without values."""
    if not values:
        return {}
    found = np.percentile(values, (50, 95, 99))
    return dict(zip(("p50", "p95", "p99", "max"), (*map(float, found), max(values))))


def allocated(plans: int = 50) -> int:
    """Return by how many bytes the checks of one arm grow the heap over some plans."""
    robot, checks = load(arms_robot(1), 1)
    assert checks is not None
    home = np.array(robot.identity.home)
    rows = plan_rows(home, 3.0, 0.0, np.zeros(len(home)), 20)
    checks.check(rows)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(plans):
        checks.check(rows)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return int(grown)


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return the figures as Markdown."""
    columns = ("p50", "p95", "p99", "max", "cpu_p99")
    lines = [
        "| gate, one plan (ms) | part | p50 | p95 | p99 | max | p99 of CPU time |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        words = (
            f"{name}: {result['pairs']} pairs, {result['rows']:.0f} rows, "
            f"{100 * result['eased']:.0f} % slowed, {100 * result['held']:.0f} % held"
        )
        for part in PARTS:
            found = result["parts"].get(part)
            if found:
                figures = " | ".join(f"{found[key]:.3f}" for key in columns)
                lines.append(f"| {words} | {part} | {figures} |")
                words = ""
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Measure and print; says whether the aims are met, and ends with 0 in either case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plans", type=int, default=3000, help="of each case (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--page", type=Path, help="put the table into this file")
    options = parser.parse_args(arguments)
    if options.plans < 100:
        parser.error("--plans >= 100 is needed for percentiles")
    results = {
        "7 joints, unchecked": measure(1, 0.0, options.plans, checked=False),
        "7 joints": measure(1, 0.0, options.plans),
        "7 joints, into things": measure(1, DIP, options.plans),
        "14 joints, unchecked": measure(2, 0.0, options.plans, checked=False),
        "14 joints": measure(2, 0.0, options.plans),
        "14 joints, into things": measure(2, DIP, options.plans),
    }
    shown = table(results)
    print(shown)
    print(f"\nheap growth over 50 checks of one path: {allocated()} bytes")
    for joints, aim in AIM_MS.items():
        for name in (f"{joints} joints", f"{joints} joints, into things"):
            found = results[name]["parts"]["on_chunk, whole"]
            verdict = "met" if found["p99"] <= aim else "NOT met"
            words = f"p99 {found['p99']:.3f} ms, of CPU time {found['cpu_p99']:.3f} ms"
            print(f"{name}: {words}; aim {aim:g} ms {verdict}")
    if options.page:
        page.put(options.page, BEGIN, END, shown)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
