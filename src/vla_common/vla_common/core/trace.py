"""The way of one observation through the stages, and the latency budget it is held against.

The budget is the 50 ms of one 20 Hz tick, split over the stages.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Trace:
    """CLOCK_MONOTONIC nanoseconds at which each stage was passed; 0 is "not yet"."""

    capture_ns: int = 0
    received_ns: int = 0
    ingest_ns: int = 0
    features_ns: int = 0
    inference_start_ns: int = 0
    inference_ns: int = 0
    action_ns: int = 0
    gate_received_ns: int = 0
    gate_ns: int = 0
    command_ns: int = 0


FIELDS = tuple(f.name for f in fields(Trace))

# stage name -> (from, to, budget [ms])
STAGES: dict[str, tuple[str, str, float]] = {
    "capture": ("capture_ns", "received_ns", 5.0),
    "ingest": ("received_ns", "ingest_ns", 1.0),
    "vision": ("ingest_ns", "features_ns", 10.0),
    "inference": ("features_ns", "inference_ns", 20.0),
    "action": ("inference_ns", "action_ns", 5.0),
    "to_gate": ("action_ns", "gate_received_ns", 1.5),
    "gate": ("gate_received_ns", "gate_ns", 2.0),
    "to_command": ("gate_ns", "command_ns", 1.5),
    "total": ("capture_ns", "command_ns", 50.0),
}


def stages_ms(trace: Trace) -> dict[str, float]:
    """Return the time spent in each stage [ms]; stages not passed are left out."""
    result = {}
    for name, (start, end, _budget) in STAGES.items():
        start_ns, end_ns = getattr(trace, start), getattr(trace, end)
        if start_ns and end_ns:
            result[name] = (end_ns - start_ns) * 1e-6
    return result
