"""Cutout: one black square for each image (DeVries & Taylor 2017, arXiv:1708.04552)."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from fer_search.design import IMAGE_SIZE


def draw_boxes(rng: np.random.Generator, count: int, side: int, clipped: bool) -> np.ndarray:
    """Draw where each image's square is.

    Args:
        rng: where all randomness comes from.
        count: number of images.
        side: of the square, pixels.
        clipped: the centre is anywhere in the image and the borders clip the square; otherwise all of it is inside.

    Returns:
        int32 (count, 4): first row, first column, and the row and column after the last; may reach over the borders.
    """
    if clipped:
        first = rng.integers(0, IMAGE_SIZE, (count, 2), dtype=np.int32) - side // 2
    else:
        first = rng.integers(0, IMAGE_SIZE - side, (count, 2), dtype=np.int32, endpoint=True)
    return np.concatenate([first, first + side], axis=1).astype(np.int32)


def cut_out(images: Any, boxes: Any) -> Any:
    """Blacken one box in each image.

    Args:
        images: float32 (n, h, w).
        boxes: int32 (n, 4), from ``draw_boxes``.

    Returns:
        float32 (n, h, w).
    """
    _, height, width = ops.shape(images)
    rows, columns = ops.arange(height, dtype="int32")[None], ops.arange(width, dtype="int32")[None]
    in_rows = ops.logical_and(rows >= boxes[:, 0:1], rows < boxes[:, 2:3])
    in_columns = ops.logical_and(columns >= boxes[:, 1:2], columns < boxes[:, 3:4])
    return ops.where(ops.logical_and(in_rows[:, :, None], in_columns[:, None, :]), 0.0, images)
