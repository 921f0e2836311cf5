"""Encodings without a NumPy view, decoded by cv_bridge where it is installed."""

from __future__ import annotations

from typing import Any

import numpy as np

from vla_camera.core.image import CHANNELS, ImageError, decode
from vla_camera.core.stream import Decoder
from vla_common.core.errors import ConfigError
from vla_common.core.robot import Camera


def decoder_for(name: str, camera: Camera, where: str) -> Decoder:
    """Return what turns the camera's images into (H, W, 3) uint8 rgb.

    Raises :class:`ConfigError` when the encoding needs cv_bridge and it is not installed.
    """
    if camera.encoding in CHANNELS:
        return decode
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except ImportError as error:
        raise ConfigError(
            where,
            f"cameras.{name}.encoding",
            camera.encoding,
            "one of " + ", ".join(CHANNELS) + "; others need cv_bridge, which is not installed "
            "(package ros-<distro>-cv-bridge)",
        ) from error
    bridge = CvBridge()

    def convert(image: Any) -> np.ndarray:
        try:
            pixels = np.asarray(bridge.imgmsg_to_cv2(image, desired_encoding="rgb8"))
        except (CvBridgeError, ValueError, TypeError) as error:
            raise ImageError("data", image.encoding, f"what cv_bridge decodes ({error})") from error
        pixels.flags.writeable = False
        return pixels

    return convert
