"""CutMix: paste a rectangle of another image and mix the labels by area (Yun et al. 2019, arXiv:1905.04899)."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from fer_search.augment.boxes import box_mask


def draw_patches(rng: np.random.Generator, count: int, alpha: float, image_size: int = 48) -> np.ndarray:
    """Draw the rectangle of each image that is replaced.

    As in the paper, it has the image's aspect ratio, a fraction of its area drawn from Beta(alpha, alpha) and its
    centre anywhere, and is clipped at the borders.

    Args:
        rng: Random generator.
        count: Number of images.
        alpha: Parameter of the Beta distribution, above 0.

    Returns:
        int32 (count, 4), boxes inside the image, possibly empty.
    """
    sides = np.rint(np.sqrt(rng.beta(alpha, alpha, (count, 1))) * image_size).astype(np.int32)
    origin = rng.integers(0, image_size, (count, 2), dtype=np.int32) - sides // 2
    return np.concatenate([origin, origin + sides], axis=1).clip(0, image_size).astype(np.int32)


def patch_lam(patches: np.ndarray, image_size: int = 48) -> np.ndarray:
    """Return the fraction of each image outside its patch, float32 (count,), 0 to 1."""
    sides = (patches[:, 2:] - patches[:, :2]).astype(np.float32)
    lam: np.ndarray = 1 - sides.prod(axis=1) / np.float32(image_size**2)
    return lam


def paste(images: Any, others: Any, patches: Any) -> Any:
    """Replace a patch of each image by the same patch of another.

    Args:
        images: float32 (n, h, w).
        others: float32 (n, h, w), the sources of the patches.
        patches: int32 (n, 4), from ``draw_patches``.

    Returns:
        float32 (n, h, w).
    """
    _, height, width = ops.shape(images)
    return ops.where(box_mask(patches, height, width), others, images)
