"""Cutout: black squares in each image (DeVries & Taylor 2017, arXiv:1708.04552)."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from fer_search.augment.boxes import inside
from fer_search.design import IMAGE_SIZE


def draw_squares(rng: np.random.Generator, count: int, side: int, squares: int, clipped: bool) -> np.ndarray:
    """Draw where each image's squares are.

    Args:
        rng: where all randomness comes from.
        count: number of images.
        side: of a square, pixels.
        squares: in each image.
        clipped: a centre is anywhere in the image and the borders clip the square; otherwise all of it is inside.

    Returns:
        int32 (count, squares, 4), boxes; may reach over the borders.
    """
    shape = (count, squares, 2)
    if clipped:
        first = rng.integers(0, IMAGE_SIZE, shape, dtype=np.int32) - side // 2
    else:
        first = rng.integers(0, IMAGE_SIZE - side, shape, dtype=np.int32, endpoint=True)
    return np.concatenate([first, first + side], axis=-1).astype(np.int32)


def cut_out(images: Any, squares: Any) -> Any:
    """Blacken the squares of each image.

    Args:
        images: float32 (n, h, w).
        squares: int32 (n, k, 4), from ``draw_squares``.

    Returns:
        float32 (n, h, w).
    """
    _, height, width = ops.shape(images)
    return ops.where(ops.any(inside(squares, height, width), axis=1), 0.0, images)
