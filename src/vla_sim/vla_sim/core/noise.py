"""Noise of a camera's sensor: without it a scene at rest gives the same image twice.

No real camera does that, and camera_ingest takes repeated images for a frozen camera.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SIGMA = 1.0
"""Standard deviation of the noise of a pixel's channel, 0..255."""


class SensorNoise:
    """Adds Gaussian noise out of a table that is drawn once: cheap, and new for each image."""

    def __init__(self, pixels: int, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        table = np.round(self._random.normal(0.0, SIGMA, 3 * pixels + 65_521))
        self._table = table.astype(np.int16)

    def add(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return ``image`` (H, W, 3) uint8 with noise; the image itself is left as it is."""
        start = int(self._random.integers(0, len(self._table) - image.size))
        noise = self._table[start : start + image.size].reshape(image.shape)
        noisy = np.clip(image + noise, 0, 255)
        return noisy.astype(np.uint8)
