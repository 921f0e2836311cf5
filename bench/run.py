"""Measures capture-to-command time: vla_ros against a naive chain of five rclpy nodes.

Both get the same camera and controller processes, the same machine and the same minutes: rounds
alternate naive, ours, naive, ours. The policy does nothing in both, so that the chain is what is
measured. Capture is the moment before the image is published, command the moment after the
trajectory was published, both on CLOCK_MONOTONIC.

The naive chain answers every image, whenever it comes. Ours plays a plan at 20 Hz: what a command
waits for that tick is part of its time, and is also shown by itself. With cameras at 20 Hz there
is one image a tick; at 30 Hz every other tick has an image that is 17 ms old already. Commands
and times are those of the measured seconds, images and losses those of the whole round.

``make bench`` runs it; the result is bench/results.json and the tables for the README.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

try:
    import rclpy  # noqa: F401
    from vla_msgs.msg import LatencyTrace  # noqa: F401
except ImportError as missing:
    sys.exit(f"bench: {missing}; run it with `make bench`, or `. tools/env.sh` first")

import page  # noqa: E402
from analysis import Measured, pooled, stage_table, table  # noqa: E402
from camera import CAMERAS  # noqa: E402
from host import machine  # noqa: E402
from null_bundle import write_bundle  # noqa: E402
from rounds import play  # noqa: E402

BEGIN, END = page.marks("bench", "bench/run.py")


@dataclass(frozen=True)
class Condition:
    """What the two chains are compared under."""

    name: str
    cameras: int
    rate: float  # [Hz] of the cameras
    profiles: dict[str, Path | None]  # of Fast DDS, by chain; None: as it comes
    pairs: int  # rounds of each chain


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=2, help="pairs of rounds of each condition (%(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="measured a round (%(default)s)"
    )
    parser.add_argument(
        "--only", choices=("shipped", "one", "same", "stock", "30"), help="one condition only"
    )
    parser.add_argument("--output", type=Path, default=HERE / "results.json")
    parser.add_argument(
        "--readme", type=Path, metavar="FILE", help="put the tables between the marks in this file"
    )
    parser.add_argument("--keep", type=Path, help="keep the logs of the rounds in this folder")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds >= 1 and --seconds > 0 are needed")
    return options


def conditions(options: argparse.Namespace) -> dict[str, Condition]:
    """Return what is to be measured."""
    ours, pairs = HERE.parent / "config" / "fastdds.xml", options.rounds
    shipped: dict[str, Path | None] = {"naive": None, "ours": ours}
    same: dict[str, Path | None] = {"naive": ours, "ours": ours}
    stock: dict[str, Path | None] = {"naive": None, "ours": None}
    known = {
        "shipped": Condition(
            "two cameras at 20 Hz, each as it comes: Fast DDS's own settings for the naive chain, "
            "config/fastdds.xml for ours", 2, 20.0, shipped, pairs
        ),
        "one": Condition("one camera at 20 Hz, each as it comes", 1, 20.0, shipped, pairs),
        "same": Condition("two cameras at 20 Hz, both with our settings", 2, 20.0, same, pairs),
        "stock": Condition(
            "two cameras at 20 Hz, both with Fast DDS's own settings", 2, 20.0, stock, 1
        ),
        "30": Condition("two cameras at 30 Hz, each as it comes", 2, 30.0, shipped, 1),
    }  # fmt: skip
    return {options.only: known[options.only]} if options.only else known


def measure(condition: Condition, seconds: float, folder: Path) -> dict[str, Any]:
    """Play the rounds of one condition, alternating, and return the pooled figures."""
    bundle = write_bundle(folder / "bundle", CAMERAS[: condition.cameras])
    measured: dict[str, list[Measured]] = {"naive": [], "ours": []}
    cpu: dict[str, list[float]] = {"naive": [], "ours": []}
    for number in range(condition.pairs):
        for kind in measured:
            print(f"{condition.name}, round {number + 1} of {condition.pairs}: {kind}", flush=True)
            place = folder / f"{number}_{kind}"
            result, cores = play(
                kind,
                place,
                bundle,
                condition.rate,
                condition.cameras,
                seconds,
                condition.profiles[kind],
            )
            measured[kind].append(result)
            cpu[kind].append(cores)
    figures = {
        kind: {**pooled(measured[kind]), "cpu_cores": sum(cpu[kind]) / len(cpu[kind])}
        for kind in measured
    }
    return {"name": condition.name, "pairs": condition.pairs, "seconds": seconds, **figures}


def report(results: dict[str, Any]) -> str:
    """Return the machine and the tables as Markdown."""
    host = results["machine"]
    words = [
        f"{host['cpu']}, {host['cores']} cores, {host['system']}, ROS 2 {host['ros']}, "
        f"{host['rmw']}, Python {host['python']}; 640x480 rgb8; load average before: "
        f"{host['load_before']:.1f}."
    ]
    for result in results["conditions"].values():
        rounds = f"{result['pairs']} x {result['seconds']:g} s each, alternating"
        words.append(f"**{result['name'][0].upper()}{result['name'][1:]}** ({rounds})")
        words += [table(result), stage_table(result)]
        words.append("; ".join(result["ours"]["notes"]) + ".")
    return "\n\n".join(words)


def patiently(condition: Condition, seconds: float, folder: Path) -> dict[str, Any] | None:
    """Measure, and once more where a chain did not keep running; None: nor did it then."""
    for attempt in (1, 2):
        try:
            return measure(condition, seconds, folder / str(attempt))
        except (FileNotFoundError, RuntimeError) as error:
            print(f"{condition.name}: {error}", file=sys.stderr)
    print(f"{condition.name}: left out, a chain does not keep running", file=sys.stderr)
    return None


def main(arguments: list[str]) -> int:
    """Measure, print the tables, write the results."""
    options = parse(arguments)
    os.environ.setdefault("ROS_DOMAIN_ID", "47")
    host = machine()
    results: dict[str, Any] = {"machine": host, "conditions": {}}
    folder = options.keep or Path(tempfile.mkdtemp(prefix="vla_bench_"))
    try:
        for key, condition in conditions(options).items():
            found = patiently(condition, options.seconds, folder / key)
            if found is not None:
                results["conditions"][key] = found
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    options.output.write_text(json.dumps(results, indent=1) + "\n")
    text = report(results)
    print(text)
    if options.readme:
        page.put(options.readme, BEGIN, END, text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
