"""All cameras together: from image messages to synchronised sets of usable images."""

from __future__ import annotations

from dataclasses import dataclass

from vla_camera.core.image import ImageFields, decode
from vla_camera.core.stream import Decoder, Stream
from vla_camera.core.sync import Frames, Shot, Synchroniser
from vla_common.core.clock import ClockOffset
from vla_common.core.errors import ConfigError
from vla_common.core.robot import Robot
from vla_common.core.stats import RateMeter, Summary, Window


@dataclass(frozen=True, slots=True)
class IngestReport:
    """State of the sets at one time."""

    rate: float  # [Hz] of sets
    skew_ms: Summary
    sets: int
    incomplete: int  # made without an optional camera
    lost: int  # usable images that went into no set
    clock_jumps: int
    blocked_by: tuple[str, ...]  # "<camera>: <fault>" of the required cameras that stop the sets
    missing: tuple[str, ...]  # "<camera>: <fault>" of the optional cameras that are left out
    silent_ms: float  # since the last set, or since the start


class Ingest:
    """Feeds each camera's images through its :class:`Stream` into the :class:`Synchroniser`."""

    def __init__(self, robot: Robot, decoders: dict[str, Decoder] | None = None) -> None:
        future_ns = round(robot.safety.future_ms * 1e6)
        decoders = decoders or {}
        self._source = robot.source
        self.streams = tuple(
            Stream(name, camera, robot.sync, future_ns, decoders.get(name, decode))
            for name, camera in zip(robot.camera_names, robot.cameras)
        )
        self._required = tuple(camera.required for camera in robot.cameras)
        self.stale_ms = robot.sync.stale_ms
        self._optional = tuple(i for i, required in enumerate(self._required) if not required)
        self._max_skew_ns = round(robot.sync.max_skew_ms * 1e6)
        self.restart(0)

    def restart(self, now_ns: int) -> None:
        """Begin anew: no image has been received yet."""
        self.clock = ClockOffset()
        self._rate = RateMeter()
        self._skew_ms = Window(256)
        self._started_ns = now_ns
        names = tuple(stream.name for stream in self.streams)
        self._sync = Synchroniser(names, self._required, self._max_skew_ns)
        for stream in self.streams:
            stream.restart(now_ns)

    def add(
        self, index: int, image: ImageFields, stamp_ns: int, ros_ns: int, now_ns: int
    ) -> Frames | None:
        """Take an image of camera ``index``; return the set that it completes, or None.

        ``stamp_ns`` is its capture in ROS time; ``ros_ns`` and ``now_ns`` are the present in ROS
        and in monotonic time. Raises :class:`ConfigError` when an image is of another size or
        encoding than the robot file says and none was right before: the wrong camera.
        """
        if self.clock.update(ros_ns, now_ns):
            self._sync.clear()
            for stream in self.streams:
                stream.forget_stamps()
        stream = self.streams[index]
        capture_ns = self.clock.to_monotonic(stamp_ns)
        pixels = stream.add(image, stamp_ns, capture_ns, now_ns)
        if pixels is None:
            self._refuse_wrong_camera(stream)
            look = stream.quality.look
            if look.frozen or look.dark:
                self._sync.drop(index)
            return None
        shot = Shot(pixels, capture_ns, stamp_ns, now_ns, image)
        absent = frozenset(i for i in self._optional if self.streams[i].fault(now_ns))
        frames = self._sync.add(index, shot, now_ns, absent)
        if frames is not None:
            self._rate.add(now_ns)
            self._skew_ms.add(frames.skew_ns * 1e-6)
        return frames

    def _refuse_wrong_camera(self, stream: Stream) -> None:
        error = stream.error
        if error is None or stream.usable:
            return
        raise ConfigError(
            f"{self._source}: images on {stream.camera.topic}",
            f"cameras.{stream.name}: {error.key}",
            error.found,
            error.allowed,
        )

    def report(self, now_ns: int) -> IngestReport:
        """Return the state of the sets."""
        faults = [(i, s.name, s.fault(now_ns)) for i, s in enumerate(self.streams)]
        sync, last_ns = self._sync, self._rate.last_ns()
        return IngestReport(
            rate=self._rate.rate(now_ns),
            skew_ms=self._skew_ms.summary(),
            sets=sync.sets,
            incomplete=sync.incomplete,
            lost=sync.lost,
            clock_jumps=self.clock.jumps,
            blocked_by=tuple(f"{n}: {f}" for i, n, f in faults if f and self._required[i]),
            missing=tuple(f"{n}: {f}" for i, n, f in faults if f and not self._required[i]),
            silent_ms=(now_ns - (last_ns or self._started_ns)) * 1e-6,
        )
