"""Image messages as NumPy views, and the checks that come before any use of them.

Encodings are those of sensor_msgs/image_encodings.hpp. Only 8-bit interleaved ones are decoded
here, where endianness does not matter; every other goes through cv_bridge (see ``bridge.py``).
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}


class ImageFields(Protocol):
    """The fields of sensor_msgs/Image that matter; ``data`` has the buffer protocol."""

    height: int
    width: int
    encoding: str
    step: int
    data: Any


class ImageError(Exception):
    """An image that must not be used: ``key`` of the message, what was ``found``, ``allowed``."""

    def __init__(self, key: str, found: object, allowed: str) -> None:
        super().__init__(f"{key} = {found!r} is not allowed: {allowed}")
        self.key = key
        self.found = found
        self.allowed = allowed


def check(image: ImageFields, width: int, height: int, encoding: str) -> None:
    """Check size [px] and encoding of an image. Raises :class:`ImageError`."""
    if image.width != width or image.height != height:
        raise ImageError("size", f"{image.width}x{image.height}", f"{width}x{height}")
    if image.encoding != encoding:
        raise ImageError("encoding", image.encoding, repr(encoding))


def view(image: ImageFields) -> np.ndarray:
    """Return the pixels, (height, width, channels) uint8, read-only, without a copy.

    Row padding (``step`` beyond the pixels) is skipped by strides. The view keeps the message's
    data alive. Raises :class:`ImageError` for an encoding that has no view, a ``step`` shorter
    than a row, or data of another length than ``step`` x ``height``.
    """
    channels = CHANNELS.get(image.encoding)
    if channels is None:
        raise ImageError("encoding", image.encoding, "one of " + ", ".join(CHANNELS))
    height, width, step = int(image.height), int(image.width), int(image.step)
    if step < width * channels:
        raise ImageError("step", step, f">= width x channels = {width * channels}")
    if len(image.data) != step * height:
        raise ImageError(
            "data length", len(image.data), f"step x height = {step} x {height} = {step * height}"
        )
    pixels = np.ndarray(
        (height, width, channels), np.uint8, image.data, strides=(step, channels, 1)
    )
    pixels.flags.writeable = False
    return pixels


def to_rgb(pixels: np.ndarray, encoding: str) -> np.ndarray:
    """Return (height, width, 3) uint8 in red, green, blue; a view wherever one exists."""
    if encoding in ("rgb8", "rgba8"):
        return pixels[:, :, :3]
    if encoding in ("bgr8", "bgra8"):
        return pixels[:, :, 2::-1]
    if encoding == "mono8":
        return np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    raise ImageError("encoding", encoding, "one of " + ", ".join(CHANNELS))


def decode(image: ImageFields) -> np.ndarray:
    """Return an image message as (height, width, 3) uint8 rgb, read-only, without a copy.

    Raises :class:`ImageError`.
    """
    return to_rgb(view(image), image.encoding)
