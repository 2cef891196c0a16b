"""Random erasing: a rectangle of random gray levels (Zhong et al. 2020, arXiv:1708.04896)."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from fer_search.augment.boxes import box_mask, draw_sizes

AREA = (0.02, 0.4)  # fraction of the image's area, as in the paper
ASPECT = (0.3, 1 / 0.3)  # width over height, as in the paper


def draw_erasures(rng: np.random.Generator, count: int, probability: float, image_size: int = 48) -> np.ndarray:
    """Draw each image's rectangle.

    Args:
        rng: Random generator.
        count: Number of images.
        probability: Probability that an image is erased, 0 to 1.

    Returns:
        int32 (count, 4), boxes inside the image, empty where nothing is erased.
    """
    sides = np.maximum(np.rint(draw_sizes(rng, count, AREA, ASPECT) * image_size), 1).astype(np.int32)
    origin = rng.integers(0, image_size - sides, dtype=np.int32, endpoint=True)
    erased = rng.random((count, 1)) < probability
    return np.where(erased, np.concatenate([origin, origin + sides], axis=1), 0).astype(np.int32)


def draw_seeds(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw a seed of ``gray_noise`` for each image, uint32 (count,)."""
    return rng.integers(2**32, size=count, dtype=np.uint32)


def erase(images: Any, boxes: Any, seeds: Any) -> Any:
    """Fill one box in each image with random gray levels from 0 to 255.

    Args:
        images: float32 (n, h, w).
        boxes: int32 (n, 4), from ``draw_erasures``.
        seeds: uint32 (n,), from ``draw_seeds``.

    Returns:
        float32 (n, h, w).
    """
    _, height, width = ops.shape(images)
    return ops.where(box_mask(boxes, height, width), gray_noise(seeds, height, width), images)


def gray_noise(seeds: Any, height: int, width: int) -> Any:
    """Return pseudo-random integer gray levels from 0 to 255, float32 (n, height, width).

    Computed where they are needed as a hash of (seed, pixel), identical on every backend and device; otherwise the host
    would have to draw and transfer as many numbers as there are pixels. The hash is "lowbias32" from
    https://nullprogram.com/blog/2018/07/31/.

    Args:
        seeds: uint32 (n,), one per image.
        height: Image height in pixels.
        width: Image width in pixels.
    """
    pixels = np.arange(height * width, dtype=np.uint32) * np.uint32(0x9E3779B9)
    x = ops.cast(seeds, "uint32")[:, None] + ops.convert_to_tensor(pixels, "uint32")[None]
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ops.bitwise_xor(x, ops.right_shift(x, _uint32(shift))) * _uint32(factor)
    levels = ops.cast(ops.right_shift(x, _uint32(24)), "float32")
    return ops.reshape(levels, (-1, height, width))


def _uint32(number: int) -> Any:
    return ops.convert_to_tensor(np.uint32(number), "uint32")
