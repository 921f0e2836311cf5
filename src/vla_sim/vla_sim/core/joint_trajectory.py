"""What ros2_controllers' joint_trajectory_controller does with trajectories from its topic.

Source: github.com/ros-controls/ros2_controllers, branch jazzy (4.42.1),
files trajectory.cpp and joint_trajectory_controller.cpp, read 2026-11. As there:

* A valid message replaces the running trajectory at the next control cycle, also when its start
  lies in the future. ``header.stamp`` zero means "start at that cycle", otherwise it is the
  absolute start; a trajectory that ends in the past is rejected.
* Until the first point is due the motion goes from the desired state at the replacement
  (``interpolate_from_desired_state: true``) to it. Points already due are passed over: the desired
  state is then taken from the message alone, and jumps if the message does.
* Between points: linear when either has no velocities, cubic when both have, quintic when both
  have accelerations too. After the last point its position is held.
* Joint names in any order; all joints must be named unless ``allow_partial_joints_goal``, then
  the others hold. Sizes must match, times must rise, the last velocity must be zero.

Differences: upstream does not look for NaN or infinity, this rejects them unless
``reject_non_finite`` is false; upstream's desired state leads the clock by one cycle.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_common.core.mailbox import Mailbox

Array = npt.NDArray[np.float64]
ZERO_VELOCITY = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, slots=True)
class Point:
    """One row of a trajectory: (joints,) [rad or m, and per second]; None where not given.

    ``time_ns`` counts from the trajectory's start.
    """

    time_ns: int
    positions: Array
    velocities: Array | None = None
    accelerations: Array | None = None


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A message's content; ``start_ns`` is the absolute start in controller time, None: now."""

    joint_names: tuple[str, ...]
    points: tuple[Point, ...]
    start_ns: int | None = None
    has_effort: bool = False


@dataclass(frozen=True, slots=True)
class Desired:
    """The desired state: (joints,) [rad or m], per second, per second squared."""

    q: Array
    dq: Array
    ddq: Array


@dataclass(frozen=True, slots=True)
class Options:
    """The controller's parameters that matter here, with upstream's defaults."""

    allow_partial_joints_goal: bool = False
    allow_nonzero_velocity_at_trajectory_end: bool = False
    reject_non_finite: bool = True


def _fields(point: Point) -> list[tuple[str, Array]]:
    named = [
        ("positions", point.positions),
        ("velocities", point.velocities),
        ("accelerations", point.accelerations),
    ]
    return [(name, values) for name, values in named if values is not None]


def _check_names(names: Sequence[str], joints: Sequence[str], partial: bool) -> str | None:
    if not names:
        return "empty joint_names"
    unknown = [name for name in names if name not in joints]
    if unknown:
        return f"unknown joint {unknown[0]!r}"
    if len(set(names)) != len(names):
        return "a joint is named twice"
    if not partial and len(names) != len(joints):
        return f"{len(names)} joints instead of {len(joints)}"
    return None


def _check_points(points: Sequence[Point], width: int, finite: bool) -> str | None:
    previous_ns = -1
    for i, point in enumerate(points):
        if point.time_ns <= previous_ns:
            return f"time_from_start does not rise at point {i}"
        previous_ns = point.time_ns
        for name, values in _fields(point):
            if len(values) != width:
                return f"{name} of point {i} has {len(values)} values instead of {width}"
            if finite and not np.isfinite(values).all():
                return f"{name} of point {i} is not finite"
    return None


def check(trajectory: Trajectory, joints: Sequence[str], options: Options, now_ns: int) -> str:
    """Return why a trajectory is rejected; empty when it is valid."""
    names, points = trajectory.joint_names, trajectory.points
    reason = _check_names(names, joints, options.allow_partial_joints_goal)
    if reason is None and not points:
        reason = "no points"
    if reason is None:
        reason = _check_points(points, len(names), options.reject_non_finite)
    if reason is None and trajectory.has_effort:
        reason = "effort is given, the command interface is position"
    if reason is not None:
        return reason
    last = points[-1]
    end_velocity = np.zeros(1) if last.velocities is None else last.velocities
    if (
        not options.allow_nonzero_velocity_at_trajectory_end
        and (np.abs(end_velocity) > ZERO_VELOCITY).any()
    ):
        return "the last velocity is not zero"
    if trajectory.start_ns is not None and trajectory.start_ns + last.time_ns < now_ns:
        return "ends in the past"
    return ""


def _cubic(a: Point, b: Point, span: float) -> list[Array]:
    assert a.velocities is not None and b.velocities is not None
    delta = b.positions - a.positions
    return [
        a.positions,
        a.velocities,
        (3.0 * delta / span - 2.0 * a.velocities - b.velocities) / span,
        (-2.0 * delta / span + a.velocities + b.velocities) / span**2,
    ]


def _quintic(a: Point, b: Point, span: float) -> list[Array]:
    va, vb, aa, ab = a.velocities, b.velocities, a.accelerations, b.accelerations
    assert va is not None and vb is not None and aa is not None and ab is not None
    delta = 20.0 * (b.positions - a.positions)
    return [
        a.positions,
        va,
        aa / 2.0,
        (delta - span * (12.0 * va + 8.0 * vb + span * (3.0 * aa - ab))) / (2.0 * span**3),
        (-1.5 * delta + span * (16.0 * va + 14.0 * vb + span * (3.0 * aa - 2.0 * ab)))
        / (2.0 * span**4),
        (0.6 * delta - span * (6.0 * (va + vb) + span * (aa - ab))) / (2.0 * span**5),
    ]


def interpolate(a: Point, b: Point, at_ns: int) -> Desired:
    """Return the state at ``at_ns`` between two points (times on the same clock)."""
    span = (b.time_ns - a.time_ns) * 1e-9
    if a.velocities is None or b.velocities is None:
        terms = [a.positions, (b.positions - a.positions) / span]
    elif a.accelerations is None or b.accelerations is None:
        terms = _cubic(a, b, span)
    else:
        terms = _quintic(a, b, span)
    t = (at_ns - a.time_ns) * 1e-9
    q, dq, ddq = (np.zeros_like(a.positions) for _ in range(3))
    for c in reversed(terms):  # Horner's scheme, with the derivatives
        ddq = ddq * t + 2.0 * dq
        dq = dq * t + q
        q = q * t + c
    return Desired(q, dq, ddq)


class _Running:
    """An accepted trajectory, tied to the clock and to the state that it replaced."""

    def __init__(self, points: Sequence[Point], start_ns: int, now_ns: int, before: Desired):
        first = Point(now_ns, before.q, before.dq, before.ddq)
        shifted = [
            Point(start_ns + p.time_ns, p.positions, p.velocities, p.accelerations) for p in points
        ]
        self.points = [first, *shifted] if shifted[0].time_ns > now_ns else shifted
        self.times = [p.time_ns for p in self.points]

    def sample(self, now_ns: int) -> Desired:
        """Return the desired state; that of the last point when the time is over."""
        i = bisect_right(self.times, now_ns)
        if 0 < i < len(self.points):
            return interpolate(self.points[i - 1], self.points[i], now_ns)
        end = self.points[-1 if i else 0]
        zero = np.zeros_like(end.positions)
        return Desired(
            end.positions,
            zero if end.velocities is None else end.velocities,
            zero if end.accelerations is None else end.accelerations,
        )


class JointTrajectoryController:
    """The desired state as a function of time, commanded by trajectories.

    ``command`` may be called from another thread than ``sample``. Times are those of one clock,
    ``now_ns`` must not go backwards.
    """

    def __init__(self, joints: Sequence[str], q: Array, options: Options | None = None) -> None:
        """Hold ``q`` (joints,) [rad or m] until the first trajectory."""
        self.joints = tuple(joints)
        self.options = options or Options()
        self.accepted = 0
        self.rejected: dict[str, int] = {}
        self.last_reason = ""
        q = np.array(q, dtype=np.float64)
        self._desired = Desired(q, np.zeros_like(q), np.zeros_like(q))
        self._running: _Running | None = None
        self._new: Mailbox[Trajectory] = Mailbox()

    def command(self, trajectory: Trajectory, now_ns: int) -> str:
        """Take a trajectory for the next cycle; return why not, empty when it was accepted."""
        reason = check(trajectory, self.joints, self.options, now_ns)
        if reason:
            self.last_reason = reason
            self.rejected[reason] = self.rejected.get(reason, 0) + 1
        else:
            self.accepted += 1
            self._new.put(trajectory)
        return reason

    def sample(self, now_ns: int) -> Desired:
        """Run one control cycle at ``now_ns`` and return the desired state."""
        if self._running is not None:
            self._desired = self._running.sample(now_ns)
        new = self._new.take()
        if new is not None:
            start_ns = now_ns if new.start_ns is None else new.start_ns
            points = [self._in_order(new.joint_names, p) for p in new.points]
            self._running = _Running(points, start_ns, now_ns, self._desired)
            self._desired = self._running.sample(now_ns)
        return self._desired

    def moving(self, now_ns: int) -> bool:
        """Whether the running trajectory has not come to its end."""
        return self._running is not None and now_ns < self._running.times[-1]

    @property
    def rejections(self) -> int:
        """How many trajectories were rejected, for whatever reason."""
        return sum(self.rejected.values())

    def _in_order(self, names: Sequence[str], point: Point) -> Point:
        """Return the point with all joints in our order; those not named hold."""
        column: Mapping[str, int] = {name: i for i, name in enumerate(names)}
        index = [column.get(joint, -1) for joint in self.joints]

        def ordered(values: Array | None, rest: Array) -> Array | None:
            if values is None:
                return None
            return np.where(np.array(index) < 0, rest, values[index])

        zero = np.zeros_like(self._desired.q)
        positions = ordered(point.positions, self._desired.q)
        assert positions is not None
        return Point(
            point.time_ns,
            positions,
            ordered(point.velocities, zero),
            ordered(point.accelerations, zero),
        )


class Peaks:
    """Largest speed and acceleration of each joint, by finite differences of desired positions."""

    def __init__(self, joints: int) -> None:
        self.velocity: Array = np.zeros(joints)
        self.acceleration: Array = np.zeros(joints)
        self._last: tuple[int, Array, Array | None] | None = None

    def add(self, now_ns: int, q: Array) -> None:
        """Take the desired position (joints,) [rad or m] of one control cycle."""
        if self._last is None or now_ns <= self._last[0]:
            self._last = (now_ns, q.copy(), None)
            return
        dt = (now_ns - self._last[0]) * 1e-9
        speed = (q - self._last[1]) / dt
        np.maximum(self.velocity, np.abs(speed), out=self.velocity)
        if self._last[2] is not None:
            change = np.abs(speed - self._last[2]) / dt
            np.maximum(self.acceleration, change, out=self.acceleration)
        self._last = (now_ns, q.copy(), speed)

    def reset(self) -> None:
        """Forget the peaks; the motion goes on."""
        self.velocity[:] = 0.0
        self.acceleration[:] = 0.0
