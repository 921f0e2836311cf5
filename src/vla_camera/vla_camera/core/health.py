"""What the gate is told of the cameras, and when."""

from __future__ import annotations

from dataclasses import dataclass

from vla_camera.core.stream import Stream
from vla_common.core.robot import Robot

POLL_NS = 10_000_000
BEAT_NS = 50_000_000


@dataclass(frozen=True, slots=True)
class Health:
    """The cameras at one time, in the order of the robot file; see vla_msgs/CameraHealth."""

    cameras: tuple[str, ...]
    age_ms: tuple[float, ...]
    repeated: tuple[int, ...]
    dark: tuple[int, ...]
    faults: tuple[str, ...]


class HealthBeat:
    """Says what to send: every ``BEAT_NS``, and as soon as a camera's verdict changes.

    It is asked every ``POLL_NS``. A verdict changes where a camera passes one of the gate's
    thresholds, or begins or ends to be at fault here.
    """

    def __init__(self, streams: tuple[Stream, ...], robot: Robot) -> None:
        safety = robot.safety
        self._streams = streams
        self._names = tuple(stream.name for stream in streams)
        self._age_ns = round(safety.camera_age_ms * 1e6)
        self._repeats = safety.camera_repeats
        self._dark_frames = safety.camera_dark_frames
        self._sent_ns = -BEAT_NS
        self._sent: list[tuple[bool, ...]] = []

    def due(self, now_ns: int) -> Health | None:
        """Return what is to be sent now, None when nothing is."""
        verdicts = [self._verdict(stream, now_ns) for stream in self._streams]
        if verdicts == self._sent and now_ns - self._sent_ns < BEAT_NS:
            return None
        self._sent, self._sent_ns = verdicts, now_ns
        looks = [stream.quality.look for stream in self._streams]
        return Health(
            self._names,
            tuple(stream.silent_ns(now_ns) * 1e-6 for stream in self._streams),
            tuple(look.identical for look in looks),
            tuple(look.dark_frames for look in looks),
            tuple(stream.fault(now_ns) for stream in self._streams),
        )

    def _verdict(self, stream: Stream, now_ns: int) -> tuple[bool, ...]:
        look = stream.quality.look
        return (
            stream.silent_ns(now_ns) > self._age_ns,
            look.identical >= self._repeats,
            look.dark_frames >= self._dark_frames,
            bool(stream.fault(now_ns)),
        )
