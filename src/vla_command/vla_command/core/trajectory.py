"""What is sent: a track turned into the rows of a JointTrajectory, or into one sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_command.core.playback import Track


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Rows to come: ``from_start_ns`` (rows,) int64, > 0 and rising, counted from the sending.

    Positions and velocities are (rows, joints); the last velocity is zero, so that whoever
    executes the rows to their end is at rest.
    """

    from_start_ns: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray


@dataclass(frozen=True, slots=True)
class Sample:
    """One point of the motion: position and velocity (joints,)."""

    position: np.ndarray
    velocity: np.ndarray


def rows_to_come(track: Track, now_ns: int) -> Trajectory | None:
    """Return the rows of ``track`` due after ``now_ns``; None when the motion is over."""
    rest = track.after(now_ns)
    if rest is None:
        return None
    return Trajectory(rest.times_ns - now_ns, rest.positions, rest.velocities)


def sample(track: Track, now_ns: int) -> Sample:
    """Return the point of ``track`` at ``now_ns``."""
    return Sample(*track.state_at(now_ns))
