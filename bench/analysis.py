"""From the logs of a round to the figures, and from figures to the table."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

TRACE = (
    "capture_ns",
    "received_ns",
    "ingest_ns",
    "features_ns",
    "inference_start_ns",
    "inference_ns",
    "action_ns",
    "gate_received_ns",
    "gate_ns",
    "command_ns",
)
STAGES = {
    "camera to pipeline": ("capture_ns", "received_ns"),
    "camera_ingest": ("received_ns", "ingest_ns"),
    "vision features": ("ingest_ns", "features_ns"),
    "policy": ("features_ns", "inference_ns"),
    "wait for the 20 Hz tick": ("inference_ns", "action_ns"),
    "to the gate": ("action_ns", "gate_received_ns"),
    "gate": ("gate_received_ns", "gate_ns"),
    "to the publisher, command": ("gate_ns", "command_ns"),
}
WAIT = "wait for the 20 Hz tick"
EVER = (0, 2**63)
RATE = 20.0  # [Hz] of the plan


@dataclass(frozen=True)
class Summary:
    """Percentiles in ms of ``count`` values."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float


def summarise(values: Iterable[float]) -> Summary:
    """Return the percentiles; raises ValueError when there is no value."""
    array = np.fromiter(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("no value to summarise: nothing was measured")
    p50, p95, p99 = (float(v) for v in np.percentile(array, (50, 95, 99)))
    return Summary(int(array.size), p50, p95, p99, float(array.max()))


@dataclass(frozen=True)
class Frame:
    """An image that the camera published: its stamp, and its capture on the monotonic clock."""

    stamp_ns: int
    capture_ns: int


def read_frames(path: Path, window: tuple[int, int]) -> list[Frame]:
    """Return the images captured within ``window`` (from, to) [monotonic ns]."""
    rows = (tuple(int(v) for v in line.split()) for line in path.read_text().splitlines())
    return [Frame(*row) for row in rows if window[0] <= row[1] < window[1]]


@dataclass(frozen=True)
class Measured:
    """What one round of one chain gave; all lists in ms, one item a command."""

    frames: int  # published in the whole round, a set of several cameras counted once
    lost: int  # of them, those that never reached the chain's end (naive) or its start (ours)
    used: int  # different images behind the commands
    commands: int
    total: list[float]
    without_wait: list[float]
    stages: dict[str, list[float]]
    notes: list[str]


def naive_round(camera_log: Path, publisher_log: Path, window: tuple[int, int]) -> Measured:
    """Every image makes one command: join them by the stamp."""
    frames = read_frames(camera_log, window)
    rows = [line.split() for line in publisher_log.read_text().splitlines()]
    commands = {int(stamp): int(command_ns) for stamp, command_ns in rows}
    total = [(commands[f.stamp_ns] - f.capture_ns) * 1e-6 for f in frames if f.stamp_ns in commands]
    first = min(commands, default=0)  # before it, not every node of the chain was up
    ever = [f for f in read_frames(camera_log, EVER) if f.stamp_ns >= first]
    lost = sum(f.stamp_ns not in commands for f in ever)
    return Measured(len(ever), lost, len(total), len(total), total, total, {}, [])


def _received(diagnostics: list[dict[str, Any]]) -> int:
    """Return the images that camera_ingest counted, of the camera with the fewest.

    Raises ValueError when it told none.
    """
    counts = {
        d["name"]: int(d["values"]["Received"])
        for d in diagnostics
        if d["name"].startswith("camera_ingest:") and "Received" in d["values"]
    }
    if not counts:
        raise ValueError("camera_ingest told no 'Received' on /diagnostics")
    return min(counts.values())


def _notes(
    diagnostics: list[dict[str, Any]],
    frames: list[Frame],
    captures: set[int],
    window: tuple[int, int],
) -> list[str]:
    """Return what must be known to trust the figures: the gate's states, the clocks."""
    states = {
        f"{d['name']}: {d['values'].get('State', d['message'])}"
        for d in diagnostics
        if d["name"] == "safety_gate: State" and window[0] <= d["at_ns"] < window[1]
    }
    known = np.array([f.capture_ns for f in frames], dtype=np.int64)
    apart = max((int(np.abs(known - capture).min()) for capture in captures), default=0)
    clock = f"capture in the trace against the camera's own clock: {apart * 1e-6:.2f} ms at most"
    return [*sorted(states), clock]


def _check_running(commands: int, window: tuple[int, int], lines: list[str]) -> None:
    """Raise RuntimeError when the arm was held for most of the window, with what the nodes say."""
    if commands >= 0.5 * RATE * (window[1] - window[0]) * 1e-9:
        return
    said = {}
    for line in lines:
        if line.startswith("diagnostic "):
            status = json.loads(line[11:])
            said[status["name"]] = status["message"]
    words = "\n".join(f"  {name}: {message}" for name, message in sorted(said.items()))
    raise RuntimeError(f"only {commands} commands: the graph did not keep running\n{words}")


def our_round(camera_log: Path, sink_log: Path, window: tuple[int, int]) -> Measured:
    """Every command carries the trace of the observation behind it."""
    lines = sink_log.read_text().splitlines()
    rows = [line.split()[1:] for line in lines if line.startswith("latency ")]
    traces = [dict(zip(TRACE, map(int, row))) for row in rows]
    traces = [t for t in traces if window[0] <= t["command_ns"] < window[1] and t["capture_ns"]]
    _check_running(len(traces), window, lines)
    stages = {
        name: [(t[end] - t[start]) * 1e-6 for t in traces] for name, (start, end) in STAGES.items()
    }
    total = [(t["command_ns"] - t["capture_ns"]) * 1e-6 for t in traces]
    without = [whole - wait for whole, wait in zip(total, stages[WAIT])]
    diagnostics = [json.loads(line[11:]) for line in lines if line.startswith("diagnostic ")]
    frames = read_frames(camera_log, EVER)
    captures = {t["capture_ns"] for t in traces}
    return Measured(
        frames=len(frames),
        lost=len(frames) - _received(diagnostics),
        used=len(captures),
        commands=len(traces),
        total=total,
        without_wait=without,
        stages=stages,
        notes=_notes(diagnostics, frames, captures, window),
    )


def pooled(rounds: list[Measured]) -> dict[str, Any]:
    """Return the figures of several rounds of one chain together."""
    joined = {name: [v for r in rounds for v in r.stages.get(name, [])] for name in STAGES}
    return {
        "capture_to_command_ms": asdict(summarise(v for r in rounds for v in r.total)),
        "without_wait_ms": asdict(summarise(v for r in rounds for v in r.without_wait)),
        "stages_ms": {name: asdict(summarise(v)) for name, v in joined.items() if v},
        "frames": sum(r.frames for r in rounds),
        "lost": sum(r.lost for r in rounds),
        "used": sum(r.used for r in rounds),
        "commands": sum(r.commands for r in rounds),
        "notes": sorted({note for r in rounds for note in r.notes}),
    }


def _cells(summary: dict[str, float]) -> str:
    return " | ".join(f"{summary[key]:.2f}" for key in ("p50", "p95", "p99", "max"))


def table(result: dict[str, Any]) -> str:
    """Return the README's table of one condition."""
    naive, ours = result["naive"], result["ours"]
    key = "capture_to_command_ms"
    ratios = [ours[key][q] / naive[key][q] for q in ("p50", "p95", "p99", "max")]
    return "\n".join(
        [
            "| capture to command | p50, ms | p95 | p99 | max | commands | images | lost | CPU |",
            "|---|---|---|---|---|---|---|---|---|",
            f"| naive chain | {_cells(naive[key])} | {naive['commands']} | {naive['frames']} "
            f"| {naive['lost']} | {naive['cpu_cores']:.2f} |",
            f"| vla_ros | {_cells(ours[key])} | {ours['commands']} | {ours['frames']} "
            f"| {ours['lost']} | {ours['cpu_cores']:.2f} |",
            "| vla_ros / naive | " + " | ".join(f"{r:.2f}" for r in ratios) + " | | | | |",
            f"| vla_ros, without the wait for the 20 Hz tick | {_cells(ours['without_wait_ms'])} "
            "| | | | |",
        ]
    )


def stage_table(result: dict[str, Any]) -> str:
    """Return the table of where the time goes."""
    rows = ["| vla_ros, stage | p50 (ms) | p95 | p99 | max |", "|---|---|---|---|---|"]
    rows += [f"| {name} | {_cells(s)} |" for name, s in result["ours"]["stages_ms"].items()]
    return "\n".join(rows)
