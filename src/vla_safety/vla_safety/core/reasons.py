"""Why something was refused or stopped, and how often."""

from __future__ import annotations

from collections import deque
from enum import Enum

MINUTE_NS = 60_000_000_000


class Reaction(Enum):
    """What a reason leads to."""

    COUNT = 0  # noted, nothing else
    HOLD = 1  # stand still until it clears by itself
    LATCH = 2  # stand still until reset, then enable


class Reason(Enum):
    """Each reason that the gate counts; the value is its name on /vla/safety_state."""

    NON_FINITE = "non_finite"
    NAMES = "wrong_names"
    ORDER = "wrong_order"
    SHAPE = "wrong_size"
    STEP = "wrong_step"
    STALE = "stale"
    STALE_CAPTURE = "stale_capture"
    FUTURE = "future"
    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out_of_order"
    OLD_EPOCH = "old_epoch"
    JUMP = "jump"
    CLAMPED = "clamped"
    HELD_BACK = "held_back"
    LOW_CONFIDENCE = "low_confidence"
    WORKSPACE = "workspace"
    COLLISION = "collision"
    NO_CHUNK = "no_chunk"
    CLOCK_JUMP = "clock_jump"
    JOINT_STALE = "joint_state_stale"
    JOINT_BAD = "joint_state_bad"
    JOINT_OUTSIDE = "joint_outside_limits"
    LAGGING = "arm_lags_behind"
    PATH_LOST = "path_lost"
    CAMERA_STALE = "camera_stale"
    CAMERA_FROZEN = "camera_frozen"
    CAMERA_DARK = "camera_dark"
    CAMERA_SILENT = "camera_health_lost"
    CAMERA_BAD = "camera_health_bad"
    THROTTLED = "throttled"
    HEALTH_BAD = "system_health_bad"
    TRACKING = "tracking_error"
    ESTOP = "estop_pressed"
    HEARTBEAT = "estop_heartbeat_lost"
    STOP = "stop_requested"
    PUBLISHER = "publisher"
    INTERNAL = "internal_error"


REASONS = tuple(Reason)
SHAPE_FAULTS = frozenset({Reason.NAMES, Reason.ORDER, Reason.SHAPE, Reason.STEP})
CAMERA = (
    Reason.CAMERA_STALE,
    Reason.CAMERA_FROZEN,
    Reason.CAMERA_DARK,
    Reason.CAMERA_SILENT,
    Reason.CAMERA_BAD,
)
BLOCKED = frozenset({Reason.WORKSPACE, Reason.COLLISION})
"""Where the plan leads to is not allowed: the path before it stays, and ends in its stop."""
INPUT = REASONS[: REASONS.index(Reason.CLAMPED)]
"""Those that refuse a chunk."""


class Counts:
    """How often each reason occurred since start, and in the last 60 s."""

    def __init__(self) -> None:
        self.total = dict.fromkeys(REASONS, 0)
        self.last_ns = dict.fromkeys(REASONS, -1)
        self._recent: dict[Reason, deque[int]] = {r: deque(maxlen=4096) for r in REASONS}

    def add(self, reason: Reason, now_ns: int) -> None:
        """Note an occurrence."""
        self.total[reason] += 1
        self.last_ns[reason] = now_ns
        self._recent[reason].append(now_ns)

    def minute(self, reason: Reason, now_ns: int) -> int:
        """Return how often it occurred in the last 60 s (4096 at most)."""
        return sum(1 for t in self._recent[reason].copy() if t > now_ns - MINUTE_NS)
