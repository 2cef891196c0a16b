"""Boxes in images: (first row, first column, row after the last, column after the last), in pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

TRIES = 10  # as torchvision's RandomResizedCrop


def inside(boxes: Any, height: int, width: int) -> Any:
    """Return which pixels are in each box, bool (..., height, width).

    Args:
        boxes: int32 (..., 4); may reach over the borders, or be empty.
        height: of the image, pixels.
        width: of the image, pixels.
    """
    rows, columns = ops.arange(height, dtype="int32"), ops.arange(width, dtype="int32")
    in_rows = ops.logical_and(rows >= boxes[..., 0:1], rows < boxes[..., 2:3])
    in_columns = ops.logical_and(columns >= boxes[..., 1:2], columns < boxes[..., 3:4])
    return ops.logical_and(in_rows[..., :, None], in_columns[..., None, :])


def draw_sizes(
    rng: np.random.Generator, count: int, area: tuple[float, float], aspect: tuple[float, float]
) -> np.ndarray:
    """Draw sizes of rectangles that fit into the image.

    Args:
        rng: where all randomness comes from.
        count: number of rectangles.
        area: smallest and largest share of the image's area, drawn uniformly.
        aspect: smallest and largest width over height, drawn log-uniformly.

    Returns:
        float64 (count, 2): height and width as shares of the image's sides. What does not fit is drawn again, ten times
        at most, then it is the whole image.
    """
    areas = rng.uniform(*area, (TRIES, count))
    aspects = np.exp(rng.uniform(np.log(aspect[0]), np.log(aspect[1]), (TRIES, count)))
    sizes = np.sqrt(np.stack([areas / aspects, areas * aspects], axis=-1))
    fits = np.all(sizes <= 1, axis=-1)
    chosen = sizes[fits.argmax(axis=0), np.arange(count)]
    return np.where(fits.any(axis=0)[:, None], chosen, 1.0)
