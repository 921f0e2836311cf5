"""Sensor noise: no two images alike, small, unbiased, and never beyond 0..255."""

import numpy as np

from vla_sim.core.noise import SIGMA, SensorNoise


def test_noise_is_new_for_each_image_and_of_the_stated_size():
    noise = SensorNoise(96 * 96, seed=1)
    image = np.full((96, 96, 3), 100, dtype=np.uint8)
    first, second = noise.add(image), noise.add(image)
    assert (first != second).any()
    assert (image == 100).all()
    error = first.astype(float) - 100
    assert abs(error.mean()) < 0.05
    assert abs(error.std() - SIGMA) < 0.1


def test_noise_stays_in_range():
    noise = SensorNoise(16 * 16, seed=1)
    for value in (0, 255):
        image = noise.add(np.full((16, 16, 3), value, dtype=np.uint8))
        assert abs(image.astype(int) - value).max() <= 8
