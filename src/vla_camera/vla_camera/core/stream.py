"""One camera's stream: which of its images may be used, and how the stream is doing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vla_camera.core.image import ImageError, ImageFields, check, decode
from vla_camera.core.quality import Look, Quality, Thresholds
from vla_common.core.robot import Camera, CameraSync
from vla_common.core.stats import RateMeter, Summary, Window

Decoder = Callable[[ImageFields], np.ndarray]


@dataclass(frozen=True, slots=True)
class StreamReport:
    """State of a stream at one time; ``fault`` and ``wrong`` are empty when there is nothing."""

    rate: float  # [Hz] of images received
    interval_ms: Summary
    silent_ms: float  # since the last usable image, or since the start
    frame_age_ms: float  # since the capture of the newest usable image; NaN before the first
    received: int
    dropped: int
    reasons: dict[str, int]  # why images were dropped, and how many
    look: Look
    fault: str
    wrong: str


class Stream:
    """Takes every image of one camera; says which may be used and why the others may not.

    Images are refused for a wrong size, encoding or length, for a stamp that does not rise, that
    lies in the future, or that is too old. A stream is at fault while it is silent, frozen or
    dark; images of a stream at fault are looked at and counted, but not for use.
    """

    def __init__(
        self,
        name: str,
        camera: Camera,
        sync: CameraSync,
        future_ns: int,
        decoder: Decoder = decode,
    ) -> None:
        self.name = name
        self.camera = camera
        self._decoder = decoder
        self._stale_ns = round(sync.stale_ms * 1e6)
        self._future_ns = future_ns
        self.quality = Quality(
            Thresholds(
                sync.frozen_frames,
                sync.dark_mean,
                sync.dark_std,
                sync.dark_blocks,
                sync.dark_frames,
            )
        )
        self.restart(0)

    def restart(self, now_ns: int) -> None:
        """Begin anew: nothing has been received yet."""
        self.quality.reset()
        self.error: ImageError | None = None  # why the newest image was wrong, None when it was not
        self.usable = 0  # images that passed all checks
        self.reasons: Counter[str] = Counter()
        self._rate = RateMeter()
        self._interval_ms = Window(256)
        self._started_ns = now_ns
        self._received_ns = 0
        self._usable_ns = 0
        self._capture_ns = 0
        self.forget_stamps()

    def forget_stamps(self) -> None:
        """Accept any next stamp: the clock that they come from has jumped."""
        self._stamp_ns = -1

    def add(
        self, image: ImageFields, stamp_ns: int, capture_ns: int, now_ns: int
    ) -> np.ndarray | None:
        """Take an image; return its pixels (H, W, 3) uint8 rgb, None when it must not be used.

        ``capture_ns`` is the monotonic time of ``stamp_ns``.
        """
        if self._received_ns:
            self._interval_ms.add((now_ns - self._received_ns) * 1e-6)
        self._received_ns = now_ns
        self._rate.add(now_ns)
        try:
            check(image, self.camera.width, self.camera.height, self.camera.encoding)
            pixels = self._decoder(image)
            self.error = None
        except ImageError as error:
            self.error = error
            self.reasons[f"wrong {error.key}"] += 1
            return None
        reason = self._late(stamp_ns, capture_ns, now_ns)
        if reason:
            self.reasons[reason] += 1
            return None
        self._stamp_ns, self._capture_ns, self._usable_ns = stamp_ns, capture_ns, now_ns
        self.usable += 1
        look = self.quality.update(pixels)
        if look.frozen or look.dark:
            self.reasons["frozen" if look.frozen else "dark"] += 1
            return None
        return pixels

    def _late(self, stamp_ns: int, capture_ns: int, now_ns: int) -> str:
        """Return what is wrong with the time of an image, empty when nothing is."""
        if stamp_ns == self._stamp_ns:
            return "duplicate stamp"
        if capture_ns - now_ns > self._future_ns:
            return "future stamp"
        if stamp_ns < self._stamp_ns:
            return "out of order"
        if now_ns - capture_ns > self._stale_ns:
            return "stale"
        return ""

    def silent_ns(self, now_ns: int) -> int:
        """Return the time since the last usable image, or since the start; 0 where it came later.

        So it does while a thread that noted the time waits for the one that takes images.
        """
        return max(0, now_ns - (self._usable_ns or self._started_ns))

    def fault(self, now_ns: int) -> str:
        """Return why this stream cannot be used now, empty when it can."""
        silent_ns = self.silent_ns(now_ns)
        if silent_ns > self._stale_ns or (self._usable_ns == 0 and self.error is not None):
            if self.error is not None:
                return f"wrong {self.error.key}"
            return f"no usable image for {silent_ns * 1e-6:.0f} ms"
        look = self.quality.look
        return "frozen" if look.frozen else "dark" if look.dark else ""

    def report(self, now_ns: int) -> StreamReport:
        """Return the state of the stream."""
        return StreamReport(
            rate=self._rate.rate(now_ns),
            interval_ms=self._interval_ms.summary(),
            silent_ms=self.silent_ns(now_ns) * 1e-6,
            frame_age_ms=(now_ns - self._capture_ns) * 1e-6 if self._usable_ns else float("nan"),
            received=self._rate.total,
            dropped=sum(list(self.reasons.values())),
            reasons=dict(self.reasons),
            look=self.quality.look,
            fault=self.fault(now_ns),
            wrong=str(self.error) if self.error is not None else "",
        )
