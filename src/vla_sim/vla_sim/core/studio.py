"""All that is rendered: the cameras' images, and the video when one is recorded."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vla_common.core.errors import ConfigError
from vla_sim.core.cameras import CameraRig, Image, Spectator
from vla_sim.core.video import RATE, VideoRecorder, beside

VIDEO_CAMERA = "front"


class Studio:
    """Renders; to be made, used and closed in one thread. The last set took ``last_ms``."""

    def __init__(
        self, sizes: Mapping[str, tuple[int, int]], video: str, qpos: npt.NDArray[np.float64]
    ) -> None:
        """Open the cameras of ``sizes`` (width, height) [px] and the file ``video`` (empty: none).

        ``qpos`` is a first state to render, so that later images come in time. Raises ConfigError
        when the video file cannot be written.
        """
        self.last_ms = 0.0
        self.recorder: VideoRecorder | None = None
        self._spectator: Spectator | None = None
        self._next_ns = 0
        film = {VIDEO_CAMERA: sizes.get(VIDEO_CAMERA, (96, 96))} if video else {}
        self._rig = CameraRig({**film, **sizes})
        self._rig.look(qpos)
        for camera in sizes:
            self._rig.image(camera)
        if video:
            self._spectator = Spectator()
            self._open(video, qpos)

    def _open(self, video: str, qpos: npt.NDArray[np.float64]) -> None:
        frame = self._frame(qpos, self._rig.image(VIDEO_CAMERA), "")
        try:
            self.recorder = VideoRecorder(Path(video), (frame.shape[1], frame.shape[0]))
        except (OSError, ValueError) as error:
            self.close()
            allowed = f"a file that can be written, with a suffix such as .mp4 ({error})"
            raise ConfigError("sim_arm", "video", video, allowed) from error

    def _frame(self, qpos: npt.NDArray[np.float64], front: Image, caption: str) -> Image:
        assert self._spectator is not None
        return beside(front, self._spectator.image(qpos, caption))

    def shoot(
        self, qpos: npt.NDArray[np.float64], now_ns: int, cameras: Iterable[str], caption: str
    ) -> list[tuple[str, Image]]:
        """Return what each of ``cameras`` sees of the state ``qpos``: uint8 (H, W, 3), RGB."""
        begun = time.perf_counter()
        self._rig.look(qpos)
        images = {camera: self._rig.image(camera) for camera in cameras}
        wanted = list(images.items())
        self.last_ms = (time.perf_counter() - begun) * 1e3
        if self.recorder is not None and now_ns >= self._next_ns:
            self._next_ns = max(self._next_ns, now_ns - 10**9 // RATE) + 10**9 // RATE
            front = (
                images[VIDEO_CAMERA] if VIDEO_CAMERA in images else self._rig.image(VIDEO_CAMERA)
            )
            self.recorder.add(self._frame(qpos, front, caption), now_ns)
        return wanted

    def close(self) -> None:
        """Finish the video and free OpenGL. Raises what the video's encoder raised."""
        self._rig.close()
        if self._spectator is not None:
            self._spectator.close()
        if self.recorder is not None:
            self.recorder.close()
