"""Shrinking a batch: area averaging, as two matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops


def area_matrix(size: int, target: int) -> np.ndarray:
    """Return the matrix that averages ``size`` pixels in a row to ``target`` ones, float32 (target, size).

    Output pixel i covers the input from i * size / target to (i + 1) * size / target; a pixel that is covered in part
    counts in part (OpenCV's INTER_AREA). Each row adds up to 1.

    Args:
        size: pixels of the input.
        target: pixels of the output, at most ``size``.
    """
    edges = np.arange(target + 1)[:, None] * size / target
    pixels = np.arange(size)[None, :]
    overlap = np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels)
    weights: np.ndarray = (np.clip(overlap, 0, None) * target / size).astype(np.float32)
    return weights


def shrink(images: Any, matrix: Any) -> Any:
    """Shrink square images.

    Args:
        images: float32 (n, size, size).
        matrix: float32 (target, size), from ``area_matrix``.

    Returns:
        float32 (n, target, target).
    """
    rows = ops.matmul(matrix, images)  # (n, target, size)
    return ops.matmul(rows, ops.transpose(matrix))
