"""The patch rule: exact against a plain computation, and it sees what the frame's mean misses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_features.core.patches import largest_change


def plain(reference, image, patch):
    """Return the largest mean |difference| by a loop over patches."""
    difference = np.abs(reference.astype(float) - image.astype(float)) / 255.0
    height, width = difference.shape[:2]
    return max(
        difference[y : y + patch, x : x + patch].mean()
        for y in range(0, height, patch)
        for x in range(0, width, patch)
    )


@given(
    st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3]), st.integers(4, 80),
    st.integers(0, 2**32 - 1), st.integers(0, 255),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_equals_a_plain_computation(height, width, channels, patch, seed, spread):
    random = np.random.default_rng(seed)
    a = random.integers(0, 256, (height, width, channels), dtype=np.uint8)
    b = np.clip(a + random.integers(-spread, spread + 1, a.shape), 0, 255).astype(np.uint8)
    assert largest_change(a, b, patch, 2.0) == pytest.approx(plain(a, b, patch), abs=1e-12)


@given(st.integers(4, 64), st.integers(0, 2**32 - 1), st.floats(0.001, 1.0))
@settings(max_examples=100, deadline=None)
def test_stopping_early_never_changes_the_answer(patch, seed, threshold):
    random = np.random.default_rng(seed)
    a = random.integers(0, 256, (50, 60, 3), dtype=np.uint8)
    b = a.copy()
    y, x = int(random.integers(0, 50)), int(random.integers(0, 60))
    b[y : y + 9, x : x + 9] = random.integers(0, 256)
    full, early = largest_change(a, b, patch, 2.0), largest_change(a, b, patch, threshold)
    assert (full >= threshold) == (early >= threshold)
    assert early <= full


@pytest.mark.parametrize("row", range(0, 224, 32))
@pytest.mark.parametrize("column", range(0, 224, 32))
def test_sees_one_patch_that_the_mean_of_the_frame_misses(row, column):
    """The textbook rule, frame mean < 2 %, calls this image static."""
    reference = np.full((224, 224, 3), 40, dtype=np.uint8)
    image = reference.copy()
    image[row : row + 16, column : column + 16] = 224  # 0.72 of full scale, as was measured
    frame_mean = np.abs(reference.astype(int) - image).mean() / 255.0
    assert frame_mean < 0.02
    assert largest_change(reference, image, 16, 2.0) == pytest.approx(184 / 255)
    assert largest_change(reference, image, 16, 0.01) >= 0.01


def test_noise_of_a_sensor_stays_below_the_default_threshold():
    random = np.random.default_rng(3)
    scene = random.integers(20, 230, (224, 224, 3)).astype(float)
    shots = [np.clip(scene + random.normal(0, 1.5, scene.shape), 0, 255).astype(np.uint8)
             for _ in range(2)]  # fmt: skip
    assert largest_change(shots[0], shots[1], 16, 1.0) < 0.01


def test_identical_images_have_not_changed():
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    assert largest_change(image, image.copy(), 16) == 0.0


def test_largest_patch_does_not_overflow():
    black, white = np.zeros((300, 300, 3), np.uint8), np.full((300, 300, 3), 255, np.uint8)
    assert largest_change(black, white, 256, 2.0) == 1.0


def test_other_strides_give_the_same_answer():
    random = np.random.default_rng(1)
    a, b = random.integers(0, 256, (2, 40, 48, 4), dtype=np.uint8)
    bgr = largest_change(a[:, :, 2::-1], b[:, :, 2::-1], 16, 2.0)
    assert bgr == largest_change(a[:, :, :3].copy(), b[:, :, :3].copy(), 16, 2.0)


def test_images_of_other_shape_are_refused():
    with pytest.raises(ValueError, match="different shape"):
        largest_change(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8), 4)
