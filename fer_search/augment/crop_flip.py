"""Test-time augmentation: the crops and flips of an image over which predictions are averaged."""

from __future__ import annotations

import numpy as np

from fer_search.augment.geometry import crop_flip_maps
from fer_search.design import Augmentation, Evaluation, scale_pixels


def tta_maps(augmentation: Augmentation, evaluation: Evaluation, image_size: int = 48) -> np.ndarray | None:
    """Return the affine map of each view, or None if the only view is the unchanged image.

    Args:
        augmentation: Augmentation of the training images; if it crops, so do the views.
        evaluation: Views to use.
        image_size: Side of the images, pixels.

    Returns:
        float32 (views, 2, 3), as in ``fer_search.augment.geometry``.
    """
    crop = augmentation.crop or (evaluation.crop if evaluation.views == "ten_crop" else 0)
    side = scale_pixels(crop, image_size) if crop else image_size
    last, middle = image_size - side, (image_size - side) / 2
    if evaluation.views == "one" and side == image_size:
        return None
    origins = [(middle, middle)]
    if evaluation.views == "ten_crop":
        origins += [(0, 0), (0, last), (last, 0), (last, last)]
    windows = np.array([(*origin, side, side) for origin in origins], float)
    if evaluation.views == "one":
        return crop_flip_maps(windows, np.array([False]), image_size)
    flipped = np.arange(2 * len(windows)) >= len(windows)
    return crop_flip_maps(np.concatenate([windows, windows]), flipped, image_size)
