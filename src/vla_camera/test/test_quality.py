"""Frozen and dark streams: found at exactly the frame they must be, and let go with hysteresis."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_camera.core.quality import RECOVER_FRAMES, Quality, Thresholds, dark_blocks

LIMITS = Thresholds(frozen_frames=5, dark_mean=8.0, dark_std=4.0, dark_blocks=20, dark_frames=10)


def black(seed):
    """Return an image that is black but for the sensor's noise."""
    return np.random.default_rng(seed).integers(0, 3, (96, 96, 3), dtype=np.uint8)


def lit(seed):
    return np.random.default_rng(seed).integers(50, 200, (96, 96, 3), dtype=np.uint8)


def test_frozen_at_exactly_the_fifth_identical_image():
    quality = Quality(LIMITS)
    quality.update(lit(0))
    looks = [quality.update(lit(1).copy()) for _ in range(7)]
    assert [look.identical for look in looks] == [1, 2, 3, 4, 5, 6, 7]
    assert [look.frozen for look in looks] == [False] * 4 + [True] * 3


def test_frozen_ends_after_three_live_images():
    quality = Quality(LIMITS)
    for _ in range(5):
        quality.update(lit(0))
    frozen = [quality.update(lit(seed)).frozen for seed in range(1, 5)]
    assert frozen == [True] * (RECOVER_FRAMES - 1) + [False] * 2


@pytest.mark.parametrize(("row", "column"), [(0, 1), (57, 33), (95, 95)])
def test_one_pixel_that_changes_is_life(row, column):
    image = np.full((480, 640, 3), 100, dtype=np.uint8)
    quality = Quality(LIMITS)
    for level in range(10):
        image = image.copy()
        image[row, column, 1] = level  # most pixels are not in the thinned copy
        assert not quality.update(image).frozen
        assert quality.look.identical == 1


def test_dark_at_exactly_the_tenth_dark_image():
    quality = Quality(LIMITS)
    looks = [quality.update(black(seed)) for seed in range(12)]
    assert all(look.dark_blocks == 25 for look in looks)
    assert [look.dark for look in looks] == [False] * 9 + [True] * 3


def test_dark_ends_after_three_lit_images():
    quality = Quality(LIMITS)
    for seed in range(10):
        quality.update(black(seed))
    assert [quality.update(lit(seed)).dark for seed in range(4)] == [True, True, False, False]


@given(st.integers(0, 25))
@settings(max_examples=26, deadline=None)
def test_dark_blocks_are_counted_exactly(count):
    image = np.full((100, 100, 3), 120, dtype=np.uint8)
    for block in range(count):
        row, column = divmod(block, 5)
        image[20 * row : 20 * row + 20, 20 * column : 20 * column + 20] = 2
    assert dark_blocks(image, 8.0, 4.0)[0] == count


def test_a_dark_block_with_structure_is_not_dark():
    image = np.zeros((100, 100, 3), dtype=np.uint8)
    image[::4, ::4] = 60  # a low mean, but there is something to see
    assert dark_blocks(image, 8.0, 4.0)[0] == 0


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(2, 8))
@settings(max_examples=100, deadline=None)
def test_the_count_of_identical_images_is_exact(repeats, frozen_frames):
    limits = Thresholds(frozen_frames, 8.0, 4.0, 20, 10)
    quality = Quality(limits)
    seed = run = 0
    for repeat in repeats:
        seed, run = (seed, run + 1) if repeat and run else (seed + 1, 1)
        look = quality.update(np.full((16, 16, 3), 50 + seed, dtype=np.uint8))
        assert look.identical == run
        if run >= frozen_frames:
            assert look.frozen


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 12))
@settings(max_examples=100, deadline=None)
def test_dark_follows_the_rule(darks, dark_frames):
    quality = Quality(Thresholds(5, 8.0, 4.0, 20, dark_frames))
    bad = good = 0
    expected = False
    for index, dark in enumerate(darks):
        bad, good = (bad + 1, 0) if dark else (0, good + 1)
        expected = True if bad >= dark_frames else expected and good < RECOVER_FRAMES
        level = index % 2 if dark else 100 + index
        assert quality.update(np.full((16, 16, 3), level, dtype=np.uint8)).dark == expected
