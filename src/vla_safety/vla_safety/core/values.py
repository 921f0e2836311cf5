"""What goes into the gate and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vla_common.core.trace import Trace
from vla_safety.core.limits import Array
from vla_safety.core.state_machine import State


@dataclass(frozen=True, slots=True)
class RawChunk:
    """The fields of an ActionChunk as they came, nothing checked.

    ``capture_ns`` is the monotonic capture time from the trace, ``stamp_ns`` the ROS time in the
    header.
    """

    epoch: Any
    seq: Any
    joint_names: Any
    step_dt: Any
    horizon: Any
    start_ns: Any
    positions: Any
    capture_ns: Any
    stamp_ns: Any
    confidence: Any = 1.0
    trace: Trace = field(default_factory=Trace)


@dataclass(frozen=True, slots=True)
class Plan:
    """A chunk that passed the checks; ``positions`` (horizon, joints) [rad or m]."""

    epoch: int
    seq: int
    step_ns: int
    start_ns: int
    positions: Array
    capture_ns: int
    stamp_ns: int
    confidence: float
    trace: Trace

    @property
    def sent_ns(self) -> int:
        """When it was sent: row 0 is due one step later."""
        return self.start_ns - self.step_ns


@dataclass(frozen=True, slots=True)
class SafeAction:
    """A verified path with its stop tail, (rows, joints); see vla_msgs/SafeAction."""

    epoch: int
    seq: int
    step_ns: int
    tail_start: int
    start_ns: int
    positions: Array
    velocities: Array
    valid_until_ns: int
    state: State
    stamp_ns: int
    trace: Trace
    measured: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """The gate is alive, and what it sent may be followed until then; ``seq``: its newest path."""

    seq: int
    valid_until_ns: int
    state: State


@dataclass(frozen=True, slots=True)
class Report:
    """The state for /vla/safety_state; it was entered from ``previous`` at ``since_ns``."""

    state: State
    previous: State
    since_ns: int
    cause: str
    reset_blocked_by: tuple[str, ...]
    enable_blocked_by: tuple[str, ...]
    min_epoch: int
    transitions: int
    reasons: tuple[str, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """What the gate wants published; None or empty: nothing of that kind.

    ``changes`` has one report for each change of state, in their order, so that none is
    swallowed where several come at once.
    """

    action: SafeAction | None = None
    lease: Lease | None = None
    report: Report | None = None
    changes: tuple[Report, ...] = ()
