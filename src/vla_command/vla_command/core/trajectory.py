"""What is sent: a track turned into the rows of a JointTrajectory, or into one sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_command.core.playback import Track

STANDS_NS = 200_000_000
"""For so long what is sent goes on saying that the arm stands, after its motion."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Rows to come: ``from_start_ns`` (rows,) int64, > 0 and rising, counted from the sending.

    Positions and velocities are (rows, joints); the last velocity is zero, so that whoever
    executes the rows to their end is at rest. The last row only repeats that the arm stands,
    ``STANDS_NS`` later: see :func:`rows_to_come`.
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
    """Return the rows of ``track`` due after ``now_ns``; None when the motion is over.

    A joint_trajectory_controller rejects what has ended when it comes. A short stop that is late
    would be lost so, and the arm go on with what it was to end; so what is sent ends later.
    """
    rest = track.after(now_ns)
    if rest is None:
        return None
    q, v, times_ns = rest.positions, rest.velocities, rest.times_ns - now_ns
    return Trajectory(
        np.append(times_ns, times_ns[-1] + STANDS_NS),
        np.vstack((q, q[-1])),
        np.vstack((v, np.zeros_like(v[-1]))),
    )


def sample(track: Track, now_ns: int) -> Sample:
    """Return the point of ``track`` at ``now_ns``."""
    return Sample(*track.state_at(now_ns))
