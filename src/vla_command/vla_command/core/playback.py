"""The commanded motion as a function of time: cubic Hermite between the rows of a path.

A row holds position and velocity. Where the gate moved with one acceleration for one step, the
cubic is that very parabola, so that nothing is added between the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vla_command.core.path import SafePath

STEPS_TO_END = 200  # at most, for a path that is already over or only stands


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

    def stands_from(self, now_ns: int) -> bool:
        """Whether the arm stands at the last knot from now on, whatever knots are still to come."""
        if now_ns >= self.times_ns[-1]:
            return True
        i = max(int(np.searchsorted(self.times_ns, now_ns, side="right")) - 1, 0)
        still = not self.velocities[i:].any()
        return bool(still and (self.positions[i:] == self.positions[-1]).all())

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

    def between(self, from_ns: int, until_ns: int) -> Track:
        """Return the motion in between, both ends included; ``until_ns`` >= ``from_ns``."""
        inside = (self.times_ns > from_ns) & (self.times_ns < until_ns)
        ends = [from_ns] if until_ns == from_ns else [from_ns, until_ns]
        states = [self.state_at(at) for at in ends]
        return Track(
            np.concatenate((ends[:1], self.times_ns[inside], ends[1:])),
            np.vstack((states[0][0], self.positions[inside], *[q for q, _ in states[1:]])),
            np.vstack((states[0][1], self.velocities[inside], *[v for _, v in states[1:]])),
        )

    def with_knots(self, times_ns: np.ndarray) -> Track:
        """Return the same motion with more knots, at ``times_ns`` (n,) int64, none of them there.

        Along a way in one piece it could not be braked: that goes from knot to knot.
        """
        if not len(times_ns):
            return self
        states = [self.state_at(int(at)) for at in times_ns]
        every = np.concatenate((self.times_ns, times_ns))
        order = np.argsort(every, kind="stable")
        return Track(
            every[order],
            np.vstack((self.positions, [q for q, _ in states]))[order],
            np.vstack((self.velocities, [v for _, v in states]))[order],
        )

    def after(self, now_ns: int) -> Track | None:
        """Return the knots still to come, None when the motion is over."""
        i = int(np.searchsorted(self.times_ns, now_ns, side="right"))
        if i == len(self.times_ns):
            return None
        return Track(self.times_ns[i:], self.positions[i:], self.velocities[i:])


def standing(q: np.ndarray, *times_ns: int) -> Track:
    """Return the track that stands at ``q`` (joints,), with a knot at each time."""
    there = np.repeat(q[None], len(times_ns), axis=0)
    return Track(np.array(times_ns, dtype=np.int64), there, np.zeros_like(there))


@dataclass(frozen=True, slots=True)
class Reach:
    """What may be asked of each joint on the way to a new path, (joints,).

    How fast its speed may grow and shrink [rad/s^2 or m/s^2], how large it may become
    [rad/s or m/s], and where it may be [rad or m].
    """

    a_max: np.ndarray
    d_max: np.ndarray
    v_max: np.ndarray
    q_min: np.ndarray = field(default_factory=lambda: np.array(-np.inf))
    q_max: np.ndarray = field(default_factory=lambda: np.array(np.inf))

    def of(self, start: np.ndarray, end: np.ndarray, v: np.ndarray, to_v: np.ndarray) -> np.ndarray:
        """Return what bounds the accelerations ``start`` .. ``end`` between two velocities.

        Where the speed only grows, that is ``a_max``; where it only shrinks, ``d_max``; else the
        smaller one.
        """
        straight = v * to_v >= 0.0
        grows = straight & (start * to_v >= 0.0) & (end * to_v >= 0.0) & (to_v != 0.0)
        shrinks = straight & (start * v <= 0.0) & (end * v <= 0.0) & (v != 0.0)
        both = np.minimum(self.a_max, self.d_max)
        return np.where(grows, self.a_max, np.where(shrinks, self.d_max, both))

    def keeps_inside(
        self, q: np.ndarray, v: np.ndarray, to_q: np.ndarray, start: np.ndarray, end: np.ndarray,
        spans: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """Return which of the cubics (rows,) from (q, v) to ``to_q`` (rows, joints) stay inside.

        That is in between of the position limits, or of where they begin and end;
        ``start``, ``end`` and ``spans`` as in :func:`bridge_peaks`.
        """
        lowest, highest = bridge_extents(q, v, start, end, spans)
        bottom = np.minimum(self.q_min, np.minimum(q, to_q))
        top = np.maximum(self.q_max, np.maximum(q, to_q))
        return np.asarray(((lowest >= bottom - 1e-9) & (highest <= top + 1e-9)).all(axis=1))


def bridge_accelerations(
    q: np.ndarray, v: np.ndarray, to_q: np.ndarray, to_v: np.ndarray, spans: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the accelerations (rows, joints) at the ends of the cubics from one state to each row.

    A cubic's acceleration is linear in time, so it is largest at one of its ends. ``spans``
    (rows,) [s] are > 0.
    """
    t = spans[:, None]
    mean = (to_q - q) / t
    start = (6.0 * mean - 4.0 * v - 2.0 * to_v) / t
    end = (-6.0 * mean + 2.0 * v + 4.0 * to_v) / t
    return start, end


def bridge_peaks(v: np.ndarray, start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return the largest speeds (rows, joints) inside the cubics of :func:`bridge_accelerations`.

    0 where the velocity has no extremum between the ends; ``t`` (rows,) [s] is how long they take.
    """
    turn = start * end < 0.0
    at = np.divide(start, start - end, out=np.zeros_like(start), where=turn) * t[:, None]
    return np.where(turn, np.abs(v + 0.5 * start * at), 0.0)


def bridge_extents(
    q: np.ndarray, v: np.ndarray, start: np.ndarray, end: np.ndarray, t: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest positions (rows, joints) where the cubics turn back.

    ``q`` where they do not; ``start``, ``end`` and ``t`` as in :func:`bridge_peaks`.
    """
    jerk = (end - start) / t[:, None]
    root = np.sqrt(np.maximum(start * start - 2.0 * jerk * v, 0.0))
    # both zeros of v + start x + jerk x^2 / 2, without a difference of what is nearly the same
    both = -(start + np.copysign(root, start))
    with np.errstate(divide="ignore", invalid="ignore"):
        zeros = np.stack((both / jerk, 2.0 * v / both))
    inside = (zeros > 0.0) & (zeros < t[:, None])
    x = np.where(inside, zeros, 0.0)
    found = q + x * (v + x * (0.5 * start + x * jerk / 6.0))
    return found.min(axis=0), found.max(axis=0)


def first_reachable(
    q: np.ndarray, v: np.ndarray, rest: Track, now_ns: int, reach: Reach
) -> int | None:
    """Return the first knot of ``rest`` reached from (q, v) within ``reach``; None: there is none.

    That is knot 0 when the path goes on from the last command, as the gate makes it. It is a
    later one when the path comes late, or one before it was lost.
    """
    spans = (rest.times_ns - now_ns) * 1e-9
    start, end = bridge_accelerations(q, v, rest.positions, rest.velocities, spans)
    needed = np.maximum(np.abs(start), np.abs(end))
    bound = reach.of(start, end, v, rest.velocities)
    # rounding of positions counts for more the shorter the way
    slack = 1e-9 * 12.0 / (spans[:, None] ** 2)
    fits = (needed <= 1.02 * bound + slack).all(axis=1)
    fastest = np.maximum(reach.v_max, np.maximum(np.abs(v), np.abs(rest.velocities)))
    fits &= (bridge_peaks(v, start, end, spans) <= fastest + 1e-9).all(axis=1)
    fits &= reach.keeps_inside(q, v, rest.positions, start, end, spans)
    return int(np.argmax(fits)) if fits.any() else None


def join(
    current: Track | None,
    path: SafePath,
    now_ns: int,
    reach: Reach | None = None,
    lead_ns: int = 0,
) -> Track | None:
    """Return the track that leaves ``current`` and follows the rows of ``path`` not yet due.

    Relative to the last command, never to the measurement. ``current`` holds until the path
    begins, and for ``lead_ns`` at least: so long it may take until the controller has the result,
    which until then is at ``current``. With ``reach`` rows that cannot be reached within it are
    passed over; None when that leaves none. A path that is already over, or that only stands,
    becomes the shortest way to its last row, where the arm is to stand.
    """
    times, positions, velocities = path.rows()
    if current is None:
        first = max(int(np.searchsorted(times, now_ns, side="right")) - 1, 0)
        before = Track(times[[first]], positions[[first]], velocities[[first]])
    else:
        before = current.between(now_ns, max(path.start_ns, now_ns + lead_ns))
    q, v, from_ns = before.positions[-1], before.velocities[-1], before.end_ns
    i = int(np.searchsorted(times, from_ns, side="right"))
    rest = Track(times[i:], positions[i:], velocities[i:])
    over = i == len(times) or len(times) == 1
    if over and from_ns > now_ns and not v.any() and (q == positions[-1]).all():
        return before  # it stands there already
    if over:  # it may take some steps to stand where the path ended
        ends = max(from_ns, now_ns) + np.arange(1, STEPS_TO_END, dtype=np.int64) * path.step_ns
        rest = Track(ends, positions[[-1] * len(ends)], velocities[[-1] * len(ends)])
    if current is not None and reach is not None:
        k = first_reachable(q, v, rest, from_ns, reach)
        if k is None:
            return None
        rest = Track(rest.times_ns[k:], rest.positions[k:], rest.velocities[k:])
    if over:
        rest = Track(rest.times_ns[:1], rest.positions[:1], rest.velocities[:1])
    whole = Track(
        np.concatenate((before.times_ns, rest.times_ns)),
        np.vstack((before.positions, rest.positions)),
        np.vstack((before.velocities, rest.velocities)),
    )
    if current is None:
        return whole
    return whole.with_knots(np.arange(from_ns + path.step_ns, rest.times_ns[0], path.step_ns))
