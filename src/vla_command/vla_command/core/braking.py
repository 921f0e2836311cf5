"""Braking along a path that was verified: the same poses, later and later, until the arm stands.

The time s of the path is slowed down: with the pace p = ds/dt velocity is q' p and acceleration
q'' p^2 + q' dp/dt (Hollerbach, Dynamic scaling of robot manipulators, ASME J. Dyn. Syst. Meas.
Control 106, 1984). From knot to knot dp/dt is constant: the most negative one that the limits
allow. Zero is always allowed, since p <= 1. Between two knots the path has one acceleration, so
that a cubic from one to the next keeps to it.
"""

from __future__ import annotations

import numpy as np

from vla_command.core.playback import Reach, Track, bridge_accelerations, standing

SHARES = np.linspace(1.0, 0.0, 21)
"""Of the hardest braking that the speed permits: the first one that fits is taken."""
SHORTEST_NS = 200_000
"""Knots sooner than this are passed over."""
HARDEST = 1000.0
"""Slowing of the pace at most [1/s]: a joint that hardly moves would stand within a moment."""

STOPPED = 1e-9
"""Squares of a pace smaller than this are rounding: the arm stands."""
STAND_NS = 10_000_000
"""A track that only stands has a second knot so much later, to be sent."""

SAME = 1e-6
"""Stops nearer to each other than this are the same [rad or m]."""


class _Ride:
    """The slowed motion while it is put together."""

    def __init__(self, track: Track, now_ns: int, reach: Reach) -> None:
        self.track, self.reach = track, reach
        self.path_ns, self.pace, self.elapsed = now_ns, 1.0, 0.0
        self.q, self.slope = track.state_at(now_ns)  # slope: velocity along the path, q'
        self.rows: list[tuple[float, np.ndarray, np.ndarray]] = [(0.0, self.q, self.slope)]

    def to(self, knot_ns: int, q: np.ndarray, slope: np.ndarray) -> bool:
        """Go on to a knot, or to the stop before it; return whether the arm then stands."""
        span, pace = (knot_ns - self.path_ns) * 1e-9, self.pace
        limit = np.minimum(self.reach.a_max, self.reach.d_max)
        speed = np.maximum(np.maximum(np.abs(self.slope), np.abs(slope)), 1e-9)
        rates = SHARES * min(float((limit / speed).min()), HARDEST)
        left = pace * pace - 2.0 * rates * span
        stops = left <= STOPPED
        paces = np.sqrt(np.where(stops, 0.0, left))
        ways = np.minimum(pace * pace / np.maximum(2.0 * rates, 1e-9), span)
        ways = np.where(stops, ways, span)
        times = 2.0 * ways / (pace + paces)
        ends = np.repeat(q[None], len(rates), axis=0)
        for i in np.flatnonzero(stops):
            ends[i] = self.track.state_at(self.path_ns + round(float(ways[i]) * 1e9))[0]
        best = self._first_fit(ends, slope * paces[:, None], times)
        self.path_ns, self.pace = knot_ns, float(paces[best])
        self.elapsed += float(times[best])
        self.q, self.slope = ends[best], slope
        self.rows.append((self.elapsed, self.q, slope * self.pace))
        return bool(stops[best])

    def _first_fit(self, q: np.ndarray, v: np.ndarray, times: np.ndarray) -> int:
        v0 = self.slope * self.pace
        start, end = bridge_accelerations(self.q, v0, q, v, times)
        needed = np.maximum(np.abs(start), np.abs(end))
        slack = 1e-9 * 12.0 / (times[:, None] ** 2)
        fits = (needed <= self.reach.of(start, end, v0, v) + slack).all(axis=1)
        fits &= self.reach.keeps_inside(self.q, v0, q, start, end, times)
        return int(np.argmax(fits)) if fits.any() else len(SHARES) - 1


def brake(track: Track, now_ns: int, begin_ns: int, reach: Reach) -> Track | None:
    """Return ``track`` from ``now_ns`` on, braked from ``begin_ns`` on as hard as ``reach`` allows.

    None where the track itself stops as soon: it stands, or a joint brakes as hard as it may.
    """
    slowed = _slowed(track, begin_ns, reach)
    if slowed is None or begin_ns == now_ns:
        return slowed
    q0, v0 = track.state_at(now_ns)
    before = (track.times_ns > now_ns) & (track.times_ns < begin_ns - SHORTEST_NS)
    return Track(
        np.concatenate(([now_ns], track.times_ns[before], slowed.times_ns)),
        np.vstack((q0, track.positions[before], slowed.positions)),
        np.vstack((v0, track.velocities[before], slowed.velocities)),
    )


def _slowed(track: Track, begin_ns: int, reach: Reach) -> Track | None:
    ride = _Ride(track, begin_ns, reach)
    later = track.times_ns > begin_ns
    if not later.any():
        return None
    if not ride.slope.any():  # it stands, for a moment or for good
        moves = (track.positions[later] != ride.q).any() or track.velocities[later].any()
        return standing(ride.q, begin_ns, begin_ns + STAND_NS) if moves else None
    for i in np.flatnonzero(track.times_ns > begin_ns + SHORTEST_NS):
        if ride.to(int(track.times_ns[i]), track.positions[i], track.velocities[i]):
            break
    if np.abs(ride.q - track.positions[-1]).max() < SAME:
        return None
    times, q, v = (np.array(column) for column in zip(*ride.rows))
    times_ns = begin_ns + np.round(times * 1e9).astype(np.int64)
    at_least = np.arange(len(times_ns))  # they rise, even where rounding made them the same
    return Track(np.maximum.accumulate(times_ns - at_least) + at_least, q, v)
