"""Between the messages of this room and its values."""

from __future__ import annotations

from array import array

import numpy as np
from sensor_msgs.msg import Image
from vla_msgs.msg import CameraFrames, CameraHealth

from vla_camera.core.health import Health
from vla_camera.core.image import CHANNELS
from vla_camera.core.sync import Frames
from vla_common.convert import fill_trace, ns_to_stamp


def as_rgb8(original: Image, pixels: np.ndarray) -> Image:
    """Return an rgb8 message of decoded ``pixels`` (H, W, 3) uint8."""
    height, width, channels = pixels.shape
    return Image(
        header=original.header,
        height=height,
        width=width,
        encoding="rgb8",
        step=width * channels,
        data=array("B", pixels.tobytes()),
    )


def frames_to_msg(frames: Frames) -> CameraFrames:
    """Return the message of a set; the images are those received wherever NumPy can view them."""
    message = CameraFrames()
    message.header.stamp = ns_to_stamp(frames.stamp_ns)
    message.cameras = list(frames.cameras)
    message.images = [
        original if original.encoding in CHANNELS else as_rgb8(original, frames.images[name])
        for name, original in frames.messages.items()
    ]
    message.skew_ms = frames.skew_ns * 1e-6
    fill_trace(frames.trace, message.trace)
    return message


def health_to_msg(health: Health, sent_ns: int, stamp_ns: int) -> CameraHealth:
    """Return the message; ``sent_ns`` is monotonic, ``stamp_ns`` is ROS time."""
    message = CameraHealth()
    message.header.stamp = ns_to_stamp(stamp_ns)
    message.sent_ns = sent_ns
    message.cameras = list(health.cameras)
    message.age_ms = list(health.age_ms)
    message.repeated = list(health.repeated)
    message.dark = list(health.dark)
    message.faults = list(health.faults)
    return message
