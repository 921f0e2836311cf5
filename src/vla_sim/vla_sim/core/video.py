"""Videos, written on a thread of their own: a slow encoder loses frames, never time."""

from __future__ import annotations

import logging
import os
import queue
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
RATE = 20
"""Nominal frame rate [Hz]; every frame carries its own time."""


def beside(small: Image, large: Image) -> Image:
    """Return ``small``, enlarged without smoothing to the height of ``large``, to its left.

    uint8 (H, W, 3) each; the result's sides are even, as video codecs want them.
    """
    height = large.shape[0] // 2 * 2
    width = round(small.shape[1] * height / small.shape[0]) // 2 * 2
    rows = np.arange(height) * small.shape[0] // height
    columns = np.arange(width) * small.shape[1] // width
    enlarged = small[rows[:, None], columns]
    return np.hstack([enlarged, large[:height, : large.shape[1] // 2 * 2]])


class VideoRecorder:
    """An H.264 file in fragments, so that it can be played even after the process was killed."""

    def __init__(self, path: Path, size: tuple[int, int], rate: int = RATE, waiting: int = 8):
        """Open ``path``; ``size`` is (width, height) [px], at most ``waiting`` frames queue up.

        Raises OSError or ValueError (a suffix that names no container) when it cannot be opened.
        """
        self.written = 0
        self.dropped = 0
        self.error: Exception | None = None
        self._queue: queue.Queue[tuple[Image, int] | None] = queue.Queue(waiting)
        options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
        logging.getLogger("libav").setLevel(logging.ERROR)
        self._container = av.open(str(path), "w", options=options if path.suffix == ".mp4" else {})
        self._stream = self._container.add_stream("libx264", rate=rate)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, 1000)
        self._stream.codec_context.options = {
            "preset": "ultrafast",
            "crf": "23",
            "threads": "1",
            "g": str(rate),
        }
        self._container.start_encoding()  # opens the file
        self._first_ns = 0
        self._last_ms = -1
        self._thread = threading.Thread(target=self._run, name="video", daemon=True)
        self._thread.start()

    def add(self, frame: Image, time_ns: int) -> bool:
        """Queue a frame (H, W, 3) RGB taken at ``time_ns``; return whether there was room."""
        try:
            self._queue.put_nowait((frame, time_ns))
        except queue.Full:
            self.dropped += 1
            return False
        return True

    def close(self) -> None:
        """Write what is queued and finish the file. Raises what the encoder raised."""
        if not self._thread.is_alive():
            return
        self._queue.put(None)
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)  # this thread alone
        try:
            while (item := self._queue.get()) is not None:
                if self.error is None:
                    self._try(*item)
            if self.error is None:
                self._container.mux(self._stream.encode(None))
        except Exception as error:
            self.error = error
        finally:
            self._container.close()

    def _try(self, image: Image, time_ns: int) -> None:
        try:
            self._encode(image, time_ns)
        except Exception as error:  # a full disk: keep emptying the queue, report at close
            self.error = error

    def _encode(self, image: Image, time_ns: int) -> None:
        self._first_ns = self._first_ns or time_ns
        at_ms = max((time_ns - self._first_ns) // 1_000_000, self._last_ms + 1)
        self._last_ms = at_ms
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = at_ms, Fraction(1, 1000)
        self._container.mux(self._stream.encode(frame))
        self.written += 1
