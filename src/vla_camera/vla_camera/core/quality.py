"""Whether an image shows anything: frozen and dark streams, with hysteresis.

Reference: five identical frames in a row are a frozen camera, and a camera is dark when the mean
and the spread of most of 5 x 5 blocks are low; both must last, and both must be over for a few
frames before the stream is trusted again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BLOCKS = 5
RECOVER_FRAMES = 3
_SAMPLED_EDGE = 60  # [px] the image is thinned to about this many rows and columns


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When an image is bad, see the robot file's section ``camera_sync``."""

    frozen_frames: int
    dark_mean: float
    dark_std: float
    dark_blocks: int
    dark_frames: int
    recover_frames: int = RECOVER_FRAMES


@dataclass(frozen=True, slots=True)
class Look:
    """What the newest image looks like, and what follows for its stream."""

    mean: float = float("nan")  # intensity, 0..255
    dark_blocks: int = 0  # of 25
    identical: int = 0  # images in a row with the same content; 1 when the newest differs
    dark_frames: int = 0  # dark images in a row
    frozen: bool = False
    dark: bool = False


class Latch:
    """A condition that is set after ``needed`` bad frames in a row, cleared after ``recover``."""

    __slots__ = ("_bad", "_good", "is_set", "needed", "recover")

    def __init__(self, needed: int, recover: int) -> None:
        self.needed, self.recover = needed, recover
        self.is_set = False
        self._bad = 0
        self._good = 0

    def update(self, bad: bool) -> bool:
        """Take one frame; return whether the condition holds."""
        self._bad, self._good = (self._bad + 1, 0) if bad else (0, self._good + 1)
        if self._bad >= self.needed:
            self.is_set = True
        elif self._good >= self.recover:
            self.is_set = False
        return self.is_set


def thin(image: np.ndarray) -> np.ndarray:
    """Return every n-th row and column of (H, W, 3), 60 of each or more, packed."""
    stride = max(1, min(image.shape[:2]) // _SAMPLED_EDGE)
    return np.ascontiguousarray(image[::stride, ::stride])


def dark_blocks(sample: np.ndarray, dark_mean: float, dark_std: float) -> tuple[int, float]:
    """Return how many of 5 x 5 blocks of (h, w, c) uint8 are dark, and the mean intensity.

    A block is dark when its mean is below ``dark_mean`` and its standard deviation is below
    ``dark_std``, both 0..255. At least 5 rows and 5 columns are needed.
    """
    rows, columns = sample.shape[0] // BLOCKS, sample.shape[1] // BLOCKS
    width = columns * sample.shape[2]
    blocks = sample[: rows * BLOCKS, : columns * BLOCKS].reshape(BLOCKS, rows, BLOCKS, width)
    sums = np.add.reduce(np.add.reduce(blocks, axis=1, dtype=np.uint32), axis=2)
    means = sums / (rows * width)
    below = means < dark_mean
    count = 0
    if below.any():
        candidates = blocks.transpose(0, 2, 1, 3)[below].astype(np.float32)
        count = int(np.count_nonzero(candidates.std(axis=(1, 2)) < dark_std))
    return count, float(means.mean())


class Quality:
    """Watches the content of one stream; each image is compared with the one before it.

    Identity is exact: a thinned copy is compared first, and only when that is equal the whole
    image. A live sensor's noise makes two images differ, so that equality means a stuck stream.
    """

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        limits = self._thresholds
        self.look = Look()
        self._image: np.ndarray | None = None
        self._sample = b""
        self._frozen = Latch(1, limits.recover_frames)
        self._dark = Latch(limits.dark_frames, limits.recover_frames)

    def update(self, image: np.ndarray) -> Look:
        """Take the next image (H, W, 3) uint8, at least 8 x 8; it must not be written to later."""
        limits = self._thresholds
        sample = thin(image)
        packed = sample.tobytes()
        same = (
            packed == self._sample
            and self._image is not None
            and np.array_equal(image, self._image)
        )
        self._sample, self._image = packed, image
        identical = self.look.identical + 1 if same else 1
        blocks, mean = dark_blocks(sample, limits.dark_mean, limits.dark_std)
        is_dark = blocks >= limits.dark_blocks
        self.look = Look(
            mean=mean,
            dark_blocks=blocks,
            identical=identical,
            dark_frames=self.look.dark_frames + 1 if is_dark else 0,
            frozen=self._frozen.update(identical >= limits.frozen_frames),
            dark=self._dark.update(is_dark),
        )
        return self.look
