"""Sets of images of several cameras, put together by capture time.

A set holds one image of each camera that takes part, with capture times at most ``max_skew_ns``
apart. Each image is in one set at most, and the capture time of sets strictly rises. The newest
possible set is made as soon as its last image arrives.

Missing streams: a required camera that delivers nothing means no set at all. An optional camera
is waited for only until the others are one image ahead; from then on it is passed over until one
of its images fits again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vla_common.core.trace import Trace

_KEPT = 4  # unused images of a camera that are kept


@dataclass(frozen=True, slots=True)
class Shot:
    """One image (H, W, 3) uint8 rgb; ``capture_ns`` is monotonic, ``stamp_ns`` is ROS time.

    ``message`` is what the image came from; it is passed through untouched.
    """

    image: np.ndarray
    capture_ns: int
    stamp_ns: int
    received_ns: int
    message: Any = None


@dataclass(frozen=True, slots=True)
class Frames:
    """One synchronised set. ``capture_ns`` (monotonic) and ``stamp_ns`` (ROS) are the oldest's."""

    images: dict[str, np.ndarray]  # camera -> (H, W, 3) uint8 rgb, read-only
    captures_ns: dict[str, int]  # camera -> monotonic capture time
    capture_ns: int
    stamp_ns: int
    skew_ns: int  # largest difference of capture times
    missing: tuple[str, ...] = ()  # optional cameras that the set was made without
    trace: Trace = field(default_factory=Trace)
    messages: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras in the set, in the order of the robot file."""
        return tuple(self.images)


class Synchroniser:
    """Collects shots and makes sets; ``required`` says for each of ``names`` whether it must be."""

    def __init__(
        self, names: tuple[str, ...], required: tuple[bool, ...], max_skew_ns: int
    ) -> None:
        if len(names) != len(required) or not names:
            raise ValueError(f"{len(names)} names for {len(required)} cameras")
        self._names = names
        self._required = required
        self._max_skew_ns = max_skew_ns
        self._unused: list[deque[Shot]] = [deque() for _ in names]
        self._passed_over: set[int] = set()
        self._last_ns: int | None = None  # capture time of the last set
        self.sets = 0
        self.incomplete = 0  # sets made without an optional camera
        self.lost = 0  # images that went into no set

    def clear(self) -> None:
        """Forget all images that are in no set yet."""
        for shots in self._unused:
            self.lost += len(shots)
            shots.clear()

    def drop(self, index: int) -> None:
        """Forget the unused images of one camera, which is no longer to be trusted."""
        self.lost += len(self._unused[index])
        self._unused[index].clear()

    def add(
        self, index: int, shot: Shot, now_ns: int, absent: frozenset[int] = frozenset()
    ) -> Frames | None:
        """Take a shot; return the set that it completes, or None.

        ``absent`` are optional cameras known to be missing: nobody waits for them.
        """
        if self._last_ns is not None and shot.capture_ns <= self._last_ns:
            self.lost += 1
            return None
        shots = self._unused[index]
        if len(shots) == _KEPT:
            shots.popleft()
            self.lost += 1
        shots.append(shot)
        present = [i for i in range(len(self._names)) if i not in absent or self._required[i]]
        chosen = self._match(present)
        if chosen is None:
            chosen = self._match(self._without_late(present))
        return self._make(chosen, now_ns) if chosen else None

    def _without_late(self, present: list[int]) -> list[int]:
        """Return the cameras of ``present`` less the optional ones that are late."""
        required = [i for i in present if self._required[i]]
        ahead = [i for i in (required or present) if len(self._unused[i]) > 1]
        if ahead and (not required or len(ahead) == len(required)):
            self._passed_over.update(i for i in present if i not in required and i not in ahead)
        return [i for i in present if i not in self._passed_over]

    def _match(self, cameras: list[int]) -> dict[int, Shot] | None:
        """Return the newest shots of ``cameras`` that belong together, None when there are none."""
        if not cameras or not all(self._unused[i] for i in cameras):
            return None
        target_ns = min(self._unused[i][-1].capture_ns for i in cameras)
        chosen = {
            i: min(self._unused[i], key=lambda shot: abs(shot.capture_ns - target_ns))
            for i in cameras
        }
        times = [shot.capture_ns for shot in chosen.values()]
        return chosen if max(times) - min(times) <= self._max_skew_ns else None

    def _make(self, chosen: dict[int, Shot], now_ns: int) -> Frames:
        """Return the set of ``chosen`` and forget everything up to it."""
        oldest = min(chosen.values(), key=lambda shot: shot.capture_ns)
        newest_ns = max(shot.capture_ns for shot in chosen.values())
        for index, shots in enumerate(self._unused):
            until_ns = chosen[index].capture_ns if index in chosen else oldest.capture_ns
            while shots and shots[0].capture_ns <= until_ns:
                self.lost += shots.popleft() is not chosen.get(index)
        self._passed_over.difference_update(chosen)
        self._last_ns = oldest.capture_ns
        order = sorted(chosen)
        names = self._names
        missing = tuple(name for i, name in enumerate(names) if i not in chosen)
        self.sets += 1
        self.incomplete += bool(missing)
        return Frames(
            images={names[i]: chosen[i].image for i in order},
            captures_ns={names[i]: chosen[i].capture_ns for i in order},
            capture_ns=oldest.capture_ns,
            stamp_ns=oldest.stamp_ns,
            skew_ns=newest_ns - oldest.capture_ns,
            missing=missing,
            trace=Trace(
                capture_ns=oldest.capture_ns, received_ns=oldest.received_ns, ingest_ns=now_ns
            ),
            messages={names[i]: chosen[i].message for i in order},
        )
