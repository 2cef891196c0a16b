"""Augmentation of colour images and of images of sizes other than FER2013's."""

import keras
import numpy as np
import pytest

from fer_search.augment import augment, draw_epoch, tta_maps
from fer_search.design import Augmentation, Evaluation

EVERYTHING = Augmentation(
    rotation=20, zoom=0.1, flip=True, crop=40, brightness=0.2, contrast=0.3, cutout=8, erasing=0.5, mixup_alpha=0.4
)


@pytest.fixture
def one_step(compiled):
    def one_step(images, augmentation, seed=0):
        draws = draw_epoch(np.random.default_rng(seed), 1, len(images), augmentation, images.shape[1])
        labels = np.eye(3, dtype="float32")[np.arange(len(images)) % 3]
        step = {name: values[0] for name, values in draws.items()}
        return [keras.ops.convert_to_numpy(x) for x in compiled(augment)(images, labels, step)]

    return one_step


def test_a_grey_rgb_image_is_augmented_like_its_greyscale_version(rng, one_step):
    grey = rng.integers(0, 256, (6, 64, 64), dtype=np.uint8)
    in_grey, labels = one_step(grey, EVERYTHING)
    in_colour, same_labels = one_step(np.repeat(grey[..., None], 3, axis=-1), EVERYTHING)
    assert in_colour.shape == (6, 64, 64, 3)
    for channel in range(3):
        np.testing.assert_allclose(in_colour[..., channel], in_grey[..., 0], atol=1e-3)
    np.testing.assert_array_equal(labels, same_labels)


def test_all_channels_get_the_same_geometry(rng, one_step):
    images = rng.integers(0, 256, (4, 48, 48, 3), dtype=np.uint8)
    moved, _ = one_step(images, Augmentation(rotation=30, flip=True))
    for channel in range(3):
        alone, _ = one_step(images[..., channel], Augmentation(rotation=30, flip=True))
        np.testing.assert_allclose(moved[..., channel], alone[..., 0], atol=1e-3)


@pytest.mark.parametrize("size", [32, 96])
def test_lengths_in_pixels_scale_with_the_image(one_step, size):
    images = np.full((50, size, size), 255, np.uint8)
    cut, _ = one_step(images, Augmentation(cutout=12, cutout_clipped=False))
    assert ((cut == 0).sum(axis=(1, 2, 3)) == (size // 4) ** 2).all()
    maps = tta_maps(Augmentation(crop=36), Evaluation(), size)
    np.testing.assert_allclose(maps[0, 0, 0], 0.75)  # three quarters of the image, scaled up
