"""CutMix: a rectangle of another image, and as much of its label (Yun et al. 2019, arXiv:1905.04899)."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from fer_search.augment.boxes import inside
from fer_search.design import IMAGE_SIZE


def draw_patches(rng: np.random.Generator, count: int, alpha: float) -> np.ndarray:
    """Draw the rectangle that each image gets of another.

    As in the paper it has the image's shape, a share of its area drawn from Beta(alpha, alpha), its centre anywhere,
    and the borders clip it.

    Returns:
        int32 (count, 4), boxes inside the image, maybe empty.
    """
    sides = np.rint(np.sqrt(rng.beta(alpha, alpha, (count, 1))) * IMAGE_SIZE).astype(np.int32)
    first = rng.integers(0, IMAGE_SIZE, (count, 2), dtype=np.int32) - sides // 2
    return np.concatenate([first, first + sides], axis=1).clip(0, IMAGE_SIZE).astype(np.int32)


def own_shares(patches: np.ndarray) -> np.ndarray:
    """Return how much of each image is still its own under its patch: float32 (count,), from 0 to 1."""
    sides = (patches[:, 2:] - patches[:, :2]).astype(np.float32)
    return 1 - sides.prod(axis=1) / np.float32(IMAGE_SIZE**2)


def paste(images: Any, others: Any, patches: Any) -> Any:
    """Return the images with a patch of others.

    Args:
        images: float32 (n, h, w).
        others: float32 (n, h, w), what each image's patch is of.
        patches: int32 (n, 4), from ``draw_patches``.
    """
    _, height, width = ops.shape(images)
    return ops.where(inside(patches, height, width), others, images)
