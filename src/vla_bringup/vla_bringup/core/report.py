"""The report of a run: one JSON document."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vla_bringup.core.preflight import Plan
from vla_bringup.core.recorder import Recorder, Stream, summary_dict
from vla_bringup.core.resources import ResourceMeter, machine
from vla_common.core.trace import STAGES

FORMAT = 1
DISTRIBUTIONS = ("numpy", "onnxruntime", "mujoco", "ros-rclpy", "tokenizers")


def versions() -> dict[str, str]:
    """Return versions of what a run depends on; what is not installed as a wheel is left out."""
    found = {"python": platform.python_version(), "ros": os.environ.get("ROS_DISTRO", "wheels")}
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _stream(sent: Stream, seen: Stream) -> dict[str, Any]:
    rate = sent.mean_rate()
    return {
        "rate_hz": round(rate, 3) if rate == rate else None,
        "count": sent.count,
        "period_ms": summary_dict(sent.period_ms.summary()),
        "period_as_received_ms": summary_dict(seen.period_ms.summary()),
    }


def _gate(recorder: Recorder, start_ns: int) -> dict[str, Any]:
    safety = recorder.safety
    return {
        "state": safety.state if safety else None,
        "cause": safety.cause if safety else None,
        "transitions": safety.transitions if safety else 0,
        "reasons": dict(safety.counts) if safety else {},
        "history": [
            {"at_s": round((at - start_ns) * 1e-9, 3), "state": state, "cause": cause}
            for at, state, cause in recorder.state_changes[:1000]
        ],
    }


def _task(recorder: Recorder) -> dict[str, Any] | None:
    task = recorder.task
    if task is None:
        return None
    return {
        "target": task.target,
        "success": task.success,
        "successes": task.successes,
        "reached": task.reached,
        "distance_m": {name: round(d, 4) for name, d in task.distances.items()},
    }


def _processes(meter: ResourceMeter, restarts: Mapping[str, int]) -> dict[str, Any]:
    return {
        name: {
            "rss_mb_max": round(usage.rss_max / 1e6, 1),
            "cpu_percent_mean": round(usage.mean_cpu(), 1),
            "restarts": restarts.get(name, 0),
        }
        for name, usage in meter.usage.items()
    }


def make(
    plan: Plan,
    recorder: Recorder,
    meter: ResourceMeter,
    restarts: Mapping[str, int],
    start_ns: int,
    end_ns: int,
    outcome: str,
) -> dict[str, Any]:
    """Return the report of one run; ``outcome`` says in words how it ended."""
    return {
        "format": FORMAT,
        "outcome": outcome,
        "robot": plan.robot.identity.name,
        "robot_file": str(plan.robot_path),
        "bundle": plan.bundle.model_id,
        "bundle_sha256": plan.bundle.sha256,
        "instruction": recorder.instruction,
        "seed": plan.options.seed,
        "duration_s": round((end_ns - start_ns) * 1e-9, 3),
        "first_action_s": (
            round((recorder.actions.first_ns - start_ns) * 1e-9, 3)
            if recorder.actions.count
            else None
        ),
        "actions": _stream(recorder.actions, recorder.actions_seen),
        "trajectories": _stream(recorder.trajectories, recorder.trajectories_seen),
        "cameras_hz": {
            name: round(rate, 2) for name, rate in recorder.cameras.items() if rate == rate
        },
        "latency_ms": {
            name: {**summary_dict(recorder.latency[name].summary()), "budget": STAGES[name][2]}
            for name in STAGES
        },
        "gate": _gate(recorder, start_ns),
        "task": _task(recorder),
        "rss_mb_sum_max": round(meter.rss_sum_max / 1e6, 1),
        "processes": _processes(meter, restarts),
        "restarts": sum(restarts.values()),
        "not_ok": {name: message for name, (_, message) in sorted(recorder.faults().items())},
        "machine": machine(),
        "versions": versions(),
    }


def write_atomically(path: Path, document: Mapping[str, Any]) -> None:
    """Write JSON so that ``path`` holds either what it held before or the whole document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(document, stream, indent=2, allow_nan=False)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
