"""Faults of the simulated sensors, set while running, to test what happens then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vla_sim.core.streams import named

ABOUT = {
    "silent": "streams that stop, to test what happens: cameras, joint_states (comma-separated)",
    "frozen": "cameras that repeat one image, likewise",
    "dark": "cameras that see almost nothing, likewise",
}
DARK = 0x03
"""Bits that are left of a dark camera's image: noise of 0..3."""

Names = Mapping[str, frozenset[str]]
"""For each of ``ABOUT``: the streams that have this fault."""


class Faults:
    """Which streams are at fault."""

    def __init__(self, cameras: Sequence[str]) -> None:
        self._cameras = tuple(cameras)
        self._names: dict[str, frozenset[str]] = dict.fromkeys(ABOUT, frozenset())

    def set(self, kind: str, value: str) -> None:
        """Take a comma-separated list for one of ``ABOUT``. Raises ConfigError."""
        self._names[kind] = named(kind, value, self._cameras)

    def silent(self, stream: str) -> bool:
        """Return whether a stream is to send nothing."""
        return stream in self._names["silent"]

    def names(self) -> Names:
        """Return which streams are at fault now."""
        return dict(self._names)


class FaultyImages:
    """What the cameras at fault send."""

    def __init__(self) -> None:
        self._kept: dict[str, np.ndarray] = {}

    def image(self, names: Names, camera: str, image: np.ndarray) -> np.ndarray:
        """Return what the camera sends in place of ``image`` (H, W, 3) uint8."""
        if camera in names["dark"]:
            image = image & DARK
        if camera in names["frozen"]:
            return self._kept.setdefault(camera, image)
        self._kept.pop(camera, None)
        return image
