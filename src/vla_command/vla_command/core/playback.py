"""The commanded motion as a function of time: cubic Hermite between the rows of a path.

A row holds position and velocity. Where the gate moved with one acceleration for one step, the
cubic is that very parabola, so that nothing is added between the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_command.core.path import SafePath


def hermite(
    q0: np.ndarray, v0: np.ndarray, q1: np.ndarray, v1: np.ndarray, span: float, t: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return position and velocity at ``t`` [s], 0 <= t <= ``span``, on the cubic through both."""
    s = t / span
    slope = (q1 - q0) / span
    b = 3.0 * slope - 2.0 * v0 - v1
    c = v0 + v1 - 2.0 * slope
    q = q0 + t * (v0 + s * (b + s * c))
    v = v0 + s * (2.0 * b + 3.0 * s * c)
    return q, v


@dataclass(frozen=True, slots=True)
class Track:
    """What is commanded: knots (knots,) int64 [ns], positions and velocities (knots, joints).

    Before the first knot and after the last the arm stands at it; the last velocity is zero.
    """

    times_ns: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray

    @property
    def end_ns(self) -> int:
        """Time from which the arm is at rest."""
        return int(self.times_ns[-1])

    def state_at(self, now_ns: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the commanded position and velocity, each (joints,)."""
        i = int(np.searchsorted(self.times_ns, now_ns, side="right"))
        if i == 0 or i == len(self.times_ns):
            end = 0 if i == 0 else -1
            return self.positions[end].copy(), np.zeros_like(self.positions[end])
        start_ns, next_ns = int(self.times_ns[i - 1]), int(self.times_ns[i])
        return hermite(
            self.positions[i - 1],
            self.velocities[i - 1],
            self.positions[i],
            self.velocities[i],
            (next_ns - start_ns) * 1e-9,
            (now_ns - start_ns) * 1e-9,
        )

    def after(self, now_ns: int) -> Track | None:
        """Return the knots still to come, None when the motion is over."""
        i = int(np.searchsorted(self.times_ns, now_ns, side="right"))
        if i == len(self.times_ns):
            return None
        return Track(self.times_ns[i:], self.positions[i:], self.velocities[i:])


def join(current: Track | None, path: SafePath, now_ns: int) -> Track:
    """Return the track that leaves ``current`` now and follows the rows of ``path`` not yet due.

    Relative to the last command, never to the measurement. A path that is already over becomes
    one step to its last row, where the arm is to stand.
    """
    times, positions, velocities = path.rows()
    i = int(np.searchsorted(times, now_ns, side="right"))
    if current is not None:
        q, v = current.state_at(now_ns)
        first_ns = now_ns
    else:
        first = max(i - 1, 0)
        q, v, first_ns = positions[first], velocities[first], int(times[first])
        i = max(i, 1)
    if i == len(times):
        times = np.array([max(first_ns, now_ns) + path.step_ns], dtype=np.int64)
        positions, velocities, i = positions[-1:], velocities[-1:], 0
    return Track(
        np.concatenate(([first_ns], times[i:])),
        np.vstack((q, positions[i:])),
        np.vstack((v, velocities[i:])),
    )
