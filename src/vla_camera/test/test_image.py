"""Views of image messages: no copy, right pixels, and nothing out of range is ever read."""

from array import array

import numpy as np
import pytest
from camera_cases import FakeImage, image_of
from hypothesis import given
from hypothesis import strategies as st

from vla_camera.core.image import CHANNELS, ImageError, check, decode, view

SIZES = st.integers(1, 24)


def pixels_of(width, height, channels):
    return np.arange(width * height * channels, dtype=np.uint8).reshape(height, width, channels)


@given(SIZES, SIZES, st.sampled_from(sorted(CHANNELS)), st.integers(0, 9))
def test_view_shows_the_pixels_without_the_padding(width, height, encoding, padding):
    pixels = pixels_of(width, height, CHANNELS[encoding])
    np.testing.assert_array_equal(view(image_of(pixels, encoding, padding)), pixels)


def test_view_is_no_copy_and_cannot_be_written_to():
    image = image_of(pixels_of(4, 4, 3))
    pixels = view(image)
    image.data[0] = 99
    assert pixels[0, 0, 0] == 99
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0, 0] = 1


def test_view_keeps_the_data_alive():
    pixels = view(image_of(np.full((64, 64, 3), 7, dtype=np.uint8)))
    assert int(pixels.sum()) == 7 * 64 * 64 * 3


@pytest.mark.parametrize("encoding", sorted(CHANNELS))
def test_decode_gives_rgb(encoding):
    red, green, blue = 10, 20, 30
    layout = {
        "rgb8": [red, green, blue], "bgr8": [blue, green, red],
        "rgba8": [red, green, blue, 255], "bgra8": [blue, green, red, 255], "mono8": [red],
    }[encoding]  # fmt: skip
    pixels = np.broadcast_to(np.array(layout, dtype=np.uint8), (6, 5, len(layout)))
    expected = [red] * 3 if encoding == "mono8" else [red, green, blue]
    decoded = decode(image_of(pixels, encoding, 3))
    assert decoded.shape == (6, 5, 3)
    assert (decoded == expected).all()


@given(
    st.integers(0, 40), st.integers(0, 40), st.sampled_from([*CHANNELS, "yuv422", ""]),
    st.integers(0, 200), st.integers(0, 4000),
)  # fmt: skip
def test_any_fields_give_a_view_of_the_right_size_or_an_error(w, h, encoding, step, length):
    image = FakeImage(h, w, encoding, step, array("B", bytes(length)))
    try:
        pixels = view(image)
    except ImageError:
        return
    assert pixels.shape == (h, w, CHANNELS[encoding])
    assert length == step * h
    assert int(pixels.sum()) == 0


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"width": 31}, "size", "31x32"),
        ({"height": 64}, "size", "32x64"),
        ({"encoding": "bgr8"}, "encoding", "'rgb8'"),
    ],
)
def test_other_size_or_encoding_is_named(change, key, words):
    image = image_of(pixels_of(32, 32, 3))
    for name, value in change.items():
        setattr(image, name, value)
    with pytest.raises(ImageError, match=words) as caught:
        check(image, 32, 32, "rgb8")
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("step", "length"), [(95, 32 * 95), (96, 32 * 96 - 1), (96, 0), (97, 3072)]
)
def test_short_rows_and_short_data_are_refused(step, length):
    with pytest.raises(ImageError):
        view(FakeImage(32, 32, "rgb8", step, array("B", bytes(length))))


def test_encoding_without_a_view_says_which_have_one():
    with pytest.raises(ImageError, match="rgb8, bgr8, rgba8, bgra8, mono8"):
        view(FakeImage(4, 4, "bayer_rggb8", 4, array("B", bytes(16))))
