"""What is asked of a verified path before it may move the arm.

The gate has checked all this; the publisher trusts neither the way between them nor the gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from vla_command.core.path import STATES, SafePath
from vla_command.core.playback import Reach
from vla_common.core.robot import Robot

MEASURE_MARGIN = 0.00873  # [rad or m] 0.5 degrees: how far outside its limits an arm may rest
MEASURE_SHARE = 0.05  # of a joint's range: no further than that, where the range is short
SPEED_MARGIN = 1.02  # of max_velocity: rounding, and a limiter that works on a grid
MAX_ROWS = 4096


class Refusal(str, Enum):
    """Why a path was refused."""

    NAMES = "wrong joint names or order"
    SIZE = "wrong size"
    STEP = "wrong step_dt"
    STATE = "unknown state of the gate"
    FINITE = "not finite"
    SEQ = "old or repeated seq"
    EXPIRED = "lease over"
    LATE = "starts too late or too early"
    NO_STOP = "does not end at rest"
    LIMITS = "outside the joint limits"
    JUMP = "jumps away from the last command"
    UNREACHABLE = "not reached from the last command within the acceleration limits"


CONTENT = frozenset({Refusal.FINITE, Refusal.NO_STOP, Refusal.LIMITS})
"""Of a path that came in time, and in its turn."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a path may contain; arrays are (joints,) float64, without a limit infinite."""

    joints: tuple[str, ...]
    q_min: np.ndarray
    q_max: np.ndarray
    v_max: np.ndarray
    reach: Reach  # from the last command to a new path
    horizon_ns: int  # of a path, and how far from now it may start
    jump: np.ndarray  # between the last command and a new path that moves
    astray: np.ndarray  # ... and one that stands: where an arm that fell behind was found
    lead_ns: int  # from a decision of the publisher until the controller can act on it
    takeover_ns: int  # until the controller follows what is sent, at most

    @staticmethod
    def of(robot: Robot) -> Bounds:
        """Return the bounds that the robot file gives."""
        limited = robot.bound("has_position_limits").astype(bool)
        v_max, a_max = robot.bound("max_velocity"), robot.bound("max_acceleration")
        q_min = np.where(limited, robot.bound("min_position"), -np.inf)
        q_max = np.where(limited, robot.bound("max_position"), np.inf)
        margin = np.minimum(MEASURE_MARGIN, MEASURE_SHARE * (q_max - q_min))
        slower = robot.bound("has_deceleration_limits").astype(bool)
        # as on the gate's grid: accelerations that change there keep to the jerk limit
        smooth = robot.bound("has_jerk_limits").astype(bool)
        most = np.where(smooth, robot.bound("max_jerk") * (robot.safety.step_ms * 0.5e-3), np.inf)
        d_max = np.where(slower, robot.bound("max_deceleration"), a_max)
        fastest = v_max * robot.safety.velocity_scale * SPEED_MARGIN
        jump = robot.safety.jump_factor * v_max / robot.control.rate
        # in a dry run the arm may be anywhere when the gate begins anew from there
        astray = np.inf if robot.controller.dry_run else robot.safety.tracking_tolerance
        return Bounds(
            joints=robot.joints,
            q_min=q_min - margin,
            q_max=q_max + margin,
            v_max=fastest,
            reach=Reach(np.minimum(a_max, most), np.minimum(d_max, most), fastest, q_min, q_max),
            horizon_ns=round(robot.safety.max_horizon_ms * 1e6),
            jump=jump,
            astray=jump + astray,
            lead_ns=robot.controller.lead_ns,
            takeover_ns=robot.controller.takeover_ns,
        )


def _shape(path: SafePath, bounds: Bounds) -> Refusal | None:
    if path.joint_names != bounds.joints:
        return Refusal.NAMES
    values = path.horizon * len(bounds.joints)
    sizes = (path.positions.size, path.velocities.size)
    if not 1 <= path.horizon <= MAX_ROWS or sizes != (values, values):
        return Refusal.SIZE
    if path.tail_start > path.horizon:
        return Refusal.SIZE
    if path.state not in STATES:
        return Refusal.STATE
    if not (np.isfinite(path.step_dt) and 1e-4 <= path.step_dt <= 1.0):
        return Refusal.STEP
    if (path.horizon - 1) * path.step_ns > 2 * bounds.horizon_ns:
        return Refusal.SIZE
    return None


def _content(path: SafePath, bounds: Bounds) -> Refusal | None:
    if not (np.isfinite(path.positions).all() and np.isfinite(path.velocities).all()):
        return Refusal.FINITE
    _, q, v = path.rows()
    if v[-1].any():
        return Refusal.NO_STOP
    if (q < bounds.q_min).any() or (q > bounds.q_max).any() or (np.abs(v) > bounds.v_max).any():
        return Refusal.LIMITS
    with np.errstate(over="ignore"):
        way = np.diff(q, axis=0)
        if (np.abs(way) > bounds.v_max * path.step_dt + 1e-9).any():
            return Refusal.LIMITS
    return Refusal.LIMITS if _too_hard(way, q, v, path.step_dt, bounds.reach) else None


def _too_hard(way: np.ndarray, q: np.ndarray, v: np.ndarray, dt: float, reach: Reach) -> bool:
    """Whether the cubic from row to row accelerates more than the gate may; ``way`` is diff(q).

    Its acceleration goes in a line through that which the velocities ask for; at its ends it is
    beside that by 6 / dt^2 of how far the way is from the one of a constant acceleration.
    """
    asked = np.abs(np.diff(v, axis=0)) / dt
    beside = np.abs(way - (v[1:] + v[:-1]) * (0.5 * dt)) - 8.0 * np.spacing(1.0 + np.abs(q[1:]))
    most = SPEED_MARGIN * np.maximum(reach.a_max, reach.d_max) + 1e-6
    return bool((asked + np.maximum(beside, 0.0) * (6.0 / dt**2) > most).any())


def _time(path: SafePath, bounds: Bounds, last_seq: int, now_ns: int) -> Refusal | None:
    if path.seq <= last_seq:
        return Refusal.SEQ
    if path.valid_until_ns <= now_ns:
        return Refusal.EXPIRED
    if not now_ns - bounds.horizon_ns <= path.start_ns <= now_ns + bounds.horizon_ns:
        return Refusal.LATE
    return None


def check(path: SafePath, bounds: Bounds, last_seq: int, now_ns: int) -> Refusal | None:
    """Return why ``path`` is refused at ``now_ns``, None when it is good. Never raises."""
    return _shape(path, bounds) or _time(path, bounds, last_seq, now_ns) or _content(path, bounds)


def check_jump(
    path: SafePath, q: np.ndarray, commanded: np.ndarray, bounds: Bounds
) -> Refusal | None:
    """Return JUMP when a path's position ``q`` (joints,) is far from the one ``commanded``."""
    far = bounds.jump if path.horizon > 1 else bounds.astray
    return Refusal.JUMP if (np.abs(q - commanded) > far).any() else None
