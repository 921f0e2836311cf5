"""Between the messages of this room and its values."""

from __future__ import annotations

from array import array

from vla_msgs.msg import CameraFrames, VisionFeatures

from vla_camera.core.image import ImageError, decode
from vla_camera.core.sync import Frames
from vla_common.convert import fill_trace, ns_to_stamp, stamp_to_ns, trace_from_msg
from vla_features.core.stage import Features


def features_to_msg(features: Features) -> VisionFeatures:
    """Return the message of vision features."""
    message = VisionFeatures()
    message.header.stamp = ns_to_stamp(features.stamp_ns)
    message.cameras = list(features.cameras)
    _, message.tokens, message.width = features.features.shape
    message.features = array("f", features.features.tobytes())
    message.reused = list(features.reused)
    message.age_ms = array("f", features.ages_ms)
    message.model_id = features.model_id
    fill_trace(features.trace, message.trace)
    return message


def frames_from_msg(message: CameraFrames) -> Frames:
    """Return the set of images in a message, as views. Raises :class:`ImageError`."""
    if len(message.cameras) != len(message.images):
        raise ImageError("images", len(message.images), f"one for each of {message.cameras}")
    trace, stamp_ns = trace_from_msg(message.trace), stamp_to_ns(message.header.stamp)
    offset_ns = stamp_ns - trace.capture_ns
    return Frames(
        images={n: decode(image) for n, image in zip(message.cameras, message.images)},
        captures_ns={
            name: stamp_to_ns(image.header.stamp) - offset_ns
            for name, image in zip(message.cameras, message.images)
        },
        capture_ns=trace.capture_ns,
        stamp_ns=stamp_ns,
        skew_ns=round(message.skew_ms * 1e6),
        trace=trace,
    )
