"""Boxes in images: (top row, left column, bottom row, right column) in pixels, the last two exclusive."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

MAX_TRIES = 10  # as torchvision's RandomResizedCrop


def box_mask(boxes: Any, height: int, width: int) -> Any:
    """Return a mask of the pixels inside each box, bool (..., height, width).

    Args:
        boxes: int32 (..., 4); may extend over the borders, or be empty.
        height: Image height in pixels.
        width: Image width in pixels.
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
        rng: Random generator.
        count: Number of rectangles.
        area: Smallest and largest fraction of the image's area, drawn uniformly.
        aspect: Smallest and largest width over height, drawn log-uniformly.

    Returns:
        float64 (count, 2): height and width as fractions of the image's sides. A size that does not fit is redrawn up
        to MAX_TRIES times, then replaced by the full image.
    """
    areas = rng.uniform(*area, (MAX_TRIES, count))
    aspects = np.exp(rng.uniform(np.log(aspect[0]), np.log(aspect[1]), (MAX_TRIES, count)))
    sizes = np.sqrt(np.stack([areas / aspects, areas * aspects], axis=-1))
    fits = np.all(sizes <= 1, axis=-1)
    first_fit = sizes[fits.argmax(axis=0), np.arange(count)]
    return np.where(fits.any(axis=0)[:, None], first_fit, 1.0)
