"""Cutout: black squares in each image (DeVries & Taylor 2017, arXiv:1708.04552)."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from fer_search.augment.boxes import box_mask


def draw_squares(
    rng: np.random.Generator, count: int, side: int, squares: int, clipped: bool, image_size: int = 48
) -> np.ndarray:
    """Draw the positions of each image's squares.

    Args:
        rng: Random generator.
        count: Number of images.
        side: Side of a square in pixels.
        squares: Number of squares per image.
        clipped: True puts the centre anywhere in the image and clips the square at the borders; False keeps the whole
            square inside.
        image_size: Side of the images, pixels.

    Returns:
        int32 (count, squares, 4), boxes; may extend over the borders.
    """
    shape = (count, squares, 2)
    if clipped:
        origin = rng.integers(0, image_size, shape, dtype=np.int32) - side // 2
    else:
        origin = rng.integers(0, image_size - side, shape, dtype=np.int32, endpoint=True)
    return np.concatenate([origin, origin + side], axis=-1).astype(np.int32)


def cut_out(images: Any, squares: Any) -> Any:
    """Set the squares of each image to black.

    Args:
        images: float32 (n, h, w).
        squares: int32 (n, k, 4), from ``draw_squares``.

    Returns:
        float32 (n, h, w).
    """
    _, height, width = ops.shape(images)
    return ops.where(ops.any(box_mask(squares, height, width), axis=1), 0.0, images)
