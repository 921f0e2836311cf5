"""What the gate watches besides plans: joint states and emergency stops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vla_common.core.robot import Safety
from vla_safety.core.limits import Array, Limits, outside_margin

STILL = 0.02
"""A joint slower than this share of its velocity limit, not scaled, stands still."""
SPEED_NS = 100_000_000
"""Where a driver tells no speed it is that of the way in so much time, at least."""
PAUSE_NS = 15_000_000
"""The gate looks every 10 ms; after so long it, and so the computer, has stood still."""
AFTER_PAUSE_NS = 50_000_000
"""How old joint states may then become that were there before it."""
MAX_SOURCES = 8
MAX_NAME = 256
"""Characters of an emergency stop source's name."""


def numbers(values: Any, size: int) -> Array | None:
    """Return ``values`` as (size,) float64; None when they are not that many numbers."""
    try:
        result = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    return result if result.shape == (size,) else None


def vector(values: Any, size: int) -> Array | None:
    """Return ``values`` as (size,) float64; None when they are not that many finite numbers."""
    result = numbers(values, size)
    return result if result is not None and np.isfinite(result).all() else None


def _shown(name: str) -> str:
    """Return a name in 64 characters at most: of a longer one both ends."""
    return name if len(name) <= 64 else f"{name[:32]}...{name[-29:]}"


LAG_SHARE = 0.3
"""Of the tracking tolerance: beyond it the arm has fallen behind the path."""


class JointWatch:
    """The measured pose, put together from messages that may each carry some of the joints."""

    def __init__(self, limits: Limits, safety: Safety) -> None:
        n = limits.joints
        self._limits = limits
        self._v_max = limits.v_max / safety.velocity_scale
        self._stale_ns = round(safety.joint_state_ms * 1e6)
        self._after_pause_ns = max(self._stale_ns, AFTER_PAUSE_NS)
        self._looked_ns = self._resumed_ns = -1
        self._tolerance = safety.tracking_tolerance
        self.lag = LAG_SHARE * safety.tracking_tolerance
        self._outside = outside_margin(limits)
        self._arm = np.where(limits.gripper, 0.0, 1.0)
        self._column = {name: i for i, name in enumerate(limits.names)}
        self._seen_ns = np.full(n, -1, dtype=np.int64)
        self._from_ns = np.full(n, -1, dtype=np.int64)  # where a way began, to tell a speed
        self._from_q = np.zeros(n)
        self._names: tuple[Any, ...] = ()
        self._pairs: tuple[list[int], list[int]] = ([], [])
        self.q = np.zeros(n)
        self.v = np.zeros(n)
        self.fresh = False  # new since the last call of disagrees()
        self.off_ticks = 0
        self.lag_ticks = 0

    def update(self, names: Any, positions: Any, velocities: Any, now_ns: int) -> bool:
        """Take a joint state; return whether it was usable.

        Joints of others are ignored; joint_state_broadcaster sends NaN for what they do not have.
        """
        if isinstance(names, str) or not isinstance(names, Sequence):
            return False
        every = numbers(positions, len(names))
        if every is None:
            return False
        from_, to = self._map(tuple(names))
        if not to:
            return True
        q = every[from_]
        if not np.isfinite(q).all():
            return False
        speeds = numbers(velocities, len(names))
        v = None if speeds is None else speeds[from_]
        if v is not None and np.isfinite(v).all():
            self.v[to], self._from_q[to], self._from_ns[to] = v, q, now_ns
        else:
            self.v[to] = self._speed(q, to, now_ns)
        self.q[to] = q
        self._seen_ns[to] = now_ns
        self.fresh = True
        return True

    def _speed(self, q: Array, to: list[int], now_ns: int) -> Array:
        """Return the speed of joints ``to`` by their way since a while ago, (len(to),).

        From one message to the next a single step of an encoder would look like motion. A joint
        that was not seen before moves, until it was seen to stand.
        """
        before_ns = self._from_ns[to]
        known, elapsed = before_ns >= 0, now_ns - before_ns
        due = ~known | (elapsed >= SPEED_NS)
        speed = (q - self._from_q[to]) / (np.maximum(elapsed, SPEED_NS) * 1e-9)
        found = np.where(due, np.where(known, speed, self._v_max[to]), self.v[to])
        self._from_ns[to] = np.where(due, now_ns, before_ns)
        self._from_q[to] = np.where(due, q, self._from_q[to])
        return np.asarray(found)

    def _map(self, names: tuple[Any, ...]) -> tuple[list[int], list[int]]:
        if names != self._names:
            pairs = [
                (i, self._column[name])
                for i, name in enumerate(names)
                if isinstance(name, str) and name in self._column
            ]
            self._pairs = ([a for a, _ in pairs], [b for _, b in pairs])
            self._names = names
        return self._pairs

    @property
    def known(self) -> bool:
        """Whether every joint was measured at least once."""
        return bool(self._seen_ns.min() >= 0)

    def age_ns(self, now_ns: int) -> int:
        """Return the age of the oldest joint; meaningful once :attr:`known`."""
        return now_ns - int(self._seen_ns.min())

    def look(self, now_ns: int) -> None:
        """Note that the gate runs: what it missed in a pause of its own gets time to come.

        A computer that stood still for 25 ms kept the driver from sending, too. Its joint states
        are no older than the pause made them, and come as soon as all have caught up.
        """
        if 0 <= self._looked_ns < now_ns - PAUSE_NS:
            self._resumed_ns = now_ns
        self._looked_ns = now_ns

    def stale(self, now_ns: int) -> bool:
        """Return whether a joint was not measured lately."""
        seen_ns = int(self._seen_ns.min())
        return seen_ns < 0 or now_ns >= self._due_ns(seen_ns)

    @property
    def due_ns(self) -> int:
        """When the joint states become stale unless one comes; meaningful once known."""
        return self._due_ns(int(self._seen_ns.min()))

    def _due_ns(self, seen_ns: int) -> int:
        paused = self._resumed_ns >= seen_ns
        return seen_ns + (self._after_pause_ns if paused else self._stale_ns) + 1

    def outside(self) -> bool:
        """Return whether a joint is measured outside its position limits."""
        low, high = self._limits.q_min - self._outside, self._limits.q_max + self._outside
        return bool(((self.q < low) | (self.q > high)).any())

    def still(self) -> bool:
        """Return whether no joint moves."""
        return bool((np.abs(self.v) <= STILL * self._v_max).all())

    def near(self, q: Array) -> Array:
        """Return the measured pose (joints,), continuous joints in the turn nearest to ``q``."""
        turn = 2.0 * np.pi
        turns = np.where(self._limits.continuous, np.round((self.q - q) / turn), 0.0)
        return np.asarray(self.q - turn * turns)

    def error(self, q: Array) -> Array:
        """Return the distance (joints,) of the measured pose from ``q``."""
        return np.abs(self.near(q) - q)

    def forgive(self) -> None:
        """Count anew how long the arm has not been where it is commanded to be."""
        self.off_ticks = self.lag_ticks = 0

    def disagrees(self, q: Array) -> int:
        """Return for how many measurements in a row the arm is not where ``q`` commands it.

        ``lag_ticks`` counts likewise with the smaller bound at which the arm falls behind. Grippers
        do not count: one that holds something stands beside its command.
        """
        if not self.fresh:
            return self.off_ticks
        self.fresh = False
        error = float((self._arm * self.error(q)).max())
        self.off_ticks = self.off_ticks + 1 if error > self._tolerance else 0
        self.lag_ticks = self.lag_ticks + 1 if error > self.lag else 0
        return self.off_ticks


class EstopWatch:
    """Emergency stop sources: each one that was heard once must keep talking.

    So must the gate's own source, which is expected from the start; nobody else can speak in its
    name. Sources are told apart by their whole name. Too long a name, and more than
    ``MAX_SOURCES`` sources, are faults: they count as pressed from then on.
    """

    def __init__(self, safety: Safety) -> None:
        self._timeout_ns = round(safety.estop_timeout_ms * 1e6)
        # by name, and whether it is the gate's own; pressed is None: not heard yet
        self._sources: dict[tuple[str, bool], tuple[bool | None, int]] = {}
        self._faults: list[str] = []
        self._own = ""
        self.trips = 0
        self.tripped_by = ""

    def expect(self, name: str, now_ns: int) -> None:
        """From now on the gate's own source must be heard."""
        self._own = name
        self._sources[name, True] = (None, now_ns)

    def wait_anew(self, now_ns: int) -> None:
        """From now on all sources must be heard again: for a while nobody listened to them."""
        self._sources = dict.fromkeys(self._sources, (None, now_ns))

    def update_own(self, pressed: Any, now_ns: int) -> None:
        """Take a heartbeat of the source that :meth:`expect` named."""
        self._sources[self._own, True] = (pressed is not False, now_ns)

    def update(self, source: Any, pressed: Any, now_ns: int) -> None:
        """Take a heartbeat from the topic. Anything but a plain False counts as pressed."""
        key = (str(source), False)
        if len(key[0]) > MAX_NAME:
            self._fault(f"name too long: over {MAX_NAME} characters, {_shown(key[0])}")
        elif key not in self._sources and len(self._sources) >= MAX_SOURCES:
            self._fault(f"more than {MAX_SOURCES} sources")
        else:
            self._sources[key] = (pressed is not False, now_ns)

    def _fault(self, text: str) -> None:
        if text not in self._faults and len(self._faults) < MAX_SOURCES:
            self._faults.append(text)

    def _name(self, key: tuple[str, bool]) -> str:
        name, own = key
        return f"{_shown(name)} (topic)" if name == self._own and not own else _shown(name)

    @property
    def seen(self) -> bool:
        """Whether there is a source at all."""
        return bool(self._sources)

    def pressed(self) -> list[str]:
        """Return the sources that are pressed."""
        found = [self._name(key) for key, (pressed, _) in self._sources.items() if pressed]
        return found + self._faults

    def unheard(self) -> list[str]:
        """Return the sources that are expected and were not heard yet."""
        return [self._name(k) for k, (pressed, _) in self._sources.items() if pressed is None]

    def silent(self, now_ns: int) -> list[str]:
        """Return the sources whose heartbeat is lost."""
        since_ns = now_ns - self._timeout_ns
        return [self._name(key) for key, (_, seen) in self._sources.items() if seen < since_ns]

    @property
    def due_ns(self) -> list[int]:
        """When each source falls silent unless it is heard."""
        return [seen + self._timeout_ns + 1 for _, seen in self._sources.values()]

    def age_ns(self, now_ns: int) -> int:
        """Return the age of the oldest heartbeat, 0 without a source."""
        return max((now_ns - seen for _, seen in self._sources.values()), default=0)
