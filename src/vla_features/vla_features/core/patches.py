"""How much an image has changed, by patches.

The mean over a whole frame hides what matters to a robot: a hand that moves in one corner changes
it by less than noise does. Here the frame is cut into patches and the largest change of any patch
counts.
"""

from __future__ import annotations

import numpy as np

_SLABS = 4  # the image is compared in this many parts, and no further once one has changed


def largest_change(
    reference: np.ndarray, image: np.ndarray, patch: int, enough: float = 1.0
) -> float:
    """Return the largest mean |difference| of any patch, 0..1 of full scale.

    Both are (H, W, C) uint8 of one shape; patches are ``patch`` x ``patch`` [px] over all
    channels, from the top left, cut off at the right and at the bottom. Stops early, with what
    it has found, as soon as that is ``enough`` or more. ``patch`` is 1..256.

    Raises ValueError for images of different shape.
    """
    if reference.shape != image.shape:
        raise ValueError(f"images of different shape: {reference.shape} and {image.shape}")
    bands = -(-image.shape[0] // patch)
    rows = patch * -(-bands // _SLABS)
    largest = 0.0
    for start in range(0, image.shape[0], rows):
        part = _slab(reference[start : start + rows], image[start : start + rows], patch)
        largest = max(largest, part)
        if largest >= enough:
            break
    return largest


def _slab(reference: np.ndarray, image: np.ndarray, patch: int) -> float:
    """Return the largest change within a part of the image."""
    difference = np.maximum(reference, image)
    difference -= np.minimum(reference, image)
    height = difference.shape[0]
    whole = height // patch * patch
    largest = _bands(difference[:whole], patch, patch) if whole else 0.0
    if whole < height:
        rest = difference[whole:]
        largest = max(largest, _bands(rest, height - whole, patch))
    return largest


def _bands(difference: np.ndarray, rows: int, patch: int) -> float:
    """Return the largest mean of patches of ``rows`` x ``patch`` px; all bands have ``rows``."""
    height, width, channels = difference.shape
    # 256 rows of 255 fit into 16 bits; sums along rows are then long vector additions.
    bands = difference.reshape(height // rows, rows, width * channels)
    sums = np.add.reduce(bands, axis=1, dtype=np.uint16)
    whole = width // patch * patch
    largest = 0.0
    if whole:
        patches = sums[:, : whole * channels].reshape(-1, patch * channels)
        total = int(np.add.reduce(patches, axis=1, dtype=np.uint32).max())
        largest = total / (255.0 * rows * patch * channels)
    if whole < width:
        total = int(np.add.reduce(sums[:, whole * channels :], axis=1, dtype=np.uint32).max())
        largest = max(largest, total / (255.0 * rows * (width - whole) * channels))
    return largest
