"""What the tests of this package share: a robot with cameras, and images as messages have them."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_common.core.robot import Robot, from_parameters

MS = 1_000_000


@dataclass
class FakeImage:
    height: int
    width: int
    encoding: str
    step: int
    data: Any


def image_of(pixels: np.ndarray, encoding: str = "rgb8", padding: int = 0) -> FakeImage:
    """Return the fields of an image message with ``padding`` bytes after each row."""
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=170)
    return FakeImage(height, width, encoding, padded.shape[1], array("B", padded.tobytes()))


def parameters(cameras: dict[str, dict[str, Any]], **sync: Any) -> dict[str, Any]:
    """Return the parameters of a robot with one joint and these cameras."""
    common = {"width": 32, "height": 32}
    return {
        "robot": {"name": "bench", "joints": ["joint1"]},
        "joint_limits": {
            "joint1": {
                "has_position_limits": True, "min_position": -1.0, "max_position": 1.0,
                "has_velocity_limits": True, "max_velocity": 1.0,
                "has_acceleration_limits": True, "max_acceleration": 1.0,
            }
        },
        "cameras": {
            "names": list(cameras),
            **{n: {"topic": f"/camera/{n}/image_raw", **common, **c} for n, c in cameras.items()},
        },
        "camera_sync": sync,
        "model": {"bundle": "none"},
        "kinematics": {"enabled": False},
    }  # fmt: skip


def make_robot(cameras: dict[str, dict[str, Any]], **sync: Any) -> Robot:
    """Return a robot with these cameras."""
    return from_parameters(parameters(cameras, **sync), "bench.yaml")


class Noise:
    """Images that are never the same, as a live sensor's."""

    def __init__(self, seed: int = 7) -> None:
        self._random = np.random.default_rng(seed)

    def __call__(self, width: int = 32, height: int = 32, channels: int = 3) -> np.ndarray:
        """Return the next image, (height, width, channels) uint8."""
        return self._random.integers(60, 200, (height, width, channels), dtype=np.uint8)
