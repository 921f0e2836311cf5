"""The limits of all joints as arrays, with bad ones refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_common.core.errors import ConfigError
from vla_common.core.robot import Robot

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

UNBOUNDED = 1e9
"""Position limit that stands for "none" of a continuous joint [rad]."""
FARTHEST = 1e6
"""Position limits further from zero than this are refused [rad or m]."""
SANE = {
    "max_velocity": (1e-6, 1e4),
    "max_acceleration": (1e-5, 1e6),
    "max_deceleration": (1e-5, 1e6),
    "max_jerk": (1e-3, np.inf),
}
"""What each limit may be [rad or m and seconds]: no robot has others, and the limiter's numbers
would overflow, or be lost in rounding."""


@dataclass(frozen=True, eq=False)
class Limits:
    """Limits in command order, each (joints,) [rad or m and seconds]; arrays are read-only.

    ``soft_min``/``soft_max`` equal the hard limits where there are no soft ones; ``j_max`` is
    infinite where there is none; ``d_max`` (deceleration) equals ``a_max`` unless given.
    """

    names: tuple[str, ...]
    q_min: Array
    q_max: Array
    soft_min: Array
    soft_max: Array
    k_soft: Array
    v_max: Array
    a_max: Array
    d_max: Array
    j_max: Array
    gripper: Mask
    continuous: Mask

    @property
    def joints(self) -> int:
        """Number of joints."""
        return len(self.names)

    def for_grid(self, dt: float, stop_time: float) -> Limits:
        """Return the limits that a grid of ``dt`` [s] is driven with.

        On the grid acceleration is constant within a step, so that jerk is the change of
        acceleration from step to step over ``dt``. It cannot exceed ``j_max`` once every
        acceleration is at most ``j_max dt / 2``. Speed is bounded so that braking from it takes
        at most ``stop_time`` [s] in whole steps.
        """
        brake = np.minimum(np.minimum(self.a_max, self.d_max), self.j_max * dt / 2.0)
        steps = max(1, int(stop_time / dt + 1e-9))
        a_max = np.minimum(self.a_max, self.j_max * dt / 2.0)
        d_max = np.where(np.isinf(self.j_max), self.d_max, np.minimum(self.d_max, brake))
        v_max = np.minimum(self.v_max, d_max * dt * steps)
        return _frozen(self, v_max=v_max, a_max=a_max, d_max=d_max)

    def scaled(self, velocity: float) -> Limits:
        """Return the limits with all velocities multiplied by ``velocity``."""
        return _frozen(self, v_max=self.v_max * velocity)


def _frozen(base: Limits, **changes: Array) -> Limits:
    values = {**base.__dict__, **changes}
    for value in values.values():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    return Limits(**values)


def limits_of(robot: Robot) -> Limits:
    """Return the limits that a robot file states. Raises :class:`ConfigError` for bad ones."""
    rows = robot.limits
    has_q = np.array([row.has_position_limits for row in rows])
    has_soft = np.array([row.has_soft_limits for row in rows])
    q_min = np.where(has_q, robot.bound("min_position"), -UNBOUNDED)
    q_max = np.where(has_q, robot.bound("max_position"), UNBOUNDED)
    a_max = robot.bound("max_acceleration")
    has_d = np.array([row.has_deceleration_limits for row in rows])
    has_j = np.array([row.has_jerk_limits for row in rows])
    limits = Limits(
        names=robot.joints,
        q_min=q_min,
        q_max=q_max,
        soft_min=np.where(has_soft, robot.bound("soft_lower_limit"), q_min),
        soft_max=np.where(has_soft, robot.bound("soft_upper_limit"), q_max),
        k_soft=np.where(has_soft, robot.bound("k_position"), np.inf),
        v_max=robot.bound("max_velocity"),
        a_max=a_max,
        d_max=np.where(has_d, robot.bound("max_deceleration"), a_max),
        j_max=np.where(has_j, robot.bound("max_jerk"), np.inf),
        gripper=np.array([name in robot.identity.grippers for name in robot.joints]),
        continuous=np.array([row.angle_wraparound for row in rows]),
    )
    check(limits, robot.source)
    return limits.scaled(robot.safety.velocity_scale)


def _refuse(where: str, limits: Limits, key: str, values: Array, bad: Mask, allowed: str) -> None:
    if bad.any():
        index = int(np.argmax(bad))
        name = f"joint_limits.{limits.names[index]}.{key}"
        raise ConfigError(where, name, float(values[index]), allowed)


def check(limits: Limits, where: str) -> None:
    """Raise :class:`ConfigError` for what could not limit: NaN, reversed, beyond all reason."""
    for key, values in (
        ("max_velocity", limits.v_max),
        ("max_acceleration", limits.a_max),
        ("max_deceleration", limits.d_max),
        ("max_jerk", limits.j_max),
    ):
        low, high = SANE[key]
        bad = ~((low <= values) & (values <= high))
        _refuse(where, limits, key, values, bad, f"a number from {low:g} to {high:g}")
    finite = np.isfinite(limits.q_min) & np.isfinite(limits.q_max)
    bad = ~(finite & (limits.q_min < limits.q_max))
    _refuse(where, limits, "min_position", limits.q_min, bad, "finite, and below max_position")
    for key, values in (("min_position", limits.q_min), ("max_position", limits.q_max)):
        bad = ~limits.continuous & (np.abs(values) > FARTHEST)
        allowed = (
            f"a number from {-FARTHEST:g} to {FARTHEST:g}; for a joint that turns endlessly "
            "has_position_limits: false, angle_wraparound: true"
        )
        _refuse(where, limits, key, values, bad, allowed)
    inside = (limits.q_min <= limits.soft_min) & (limits.soft_max <= limits.q_max)
    bad = ~(inside & (limits.soft_min < limits.soft_max))
    _refuse(
        where,
        limits,
        "soft_lower_limit",
        limits.soft_min,
        bad,
        "soft limits within the position limits, the lower below the upper",
    )


OUTSIDE = np.deg2rad(0.5)
"""Measured further outside the position limits than this is a fault [rad]."""
OUTSIDE_SHARE = 0.05
"""... and no more than this share of the range, for joints with a short one."""


def outside_margin(limits: Limits) -> Array:
    """Return how far outside its position limits each joint may rest (joints,) [rad or m]."""
    return np.minimum(OUTSIDE, OUTSIDE_SHARE * (limits.q_max - limits.q_min))
