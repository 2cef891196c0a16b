"""Test-time augmentation: the crops and flips of an image over which predictions are averaged."""

from __future__ import annotations

import numpy as np

from fer_search.augment.geometry import crop_flip_maps
from fer_search.design import IMAGE_SIZE, Augmentation, Evaluation


def tta_maps(augmentation: Augmentation, evaluation: Evaluation) -> np.ndarray | None:
    """Return the affine map of each view, or None if the only view is the unchanged image.

    Args:
        augmentation: Augmentation of the training images; if it crops, so do the views.
        evaluation: Views to use.

    Returns:
        float32 (views, 2, 3), as in ``fer_search.augment.geometry``.
    """
    side = augmentation.crop or (evaluation.crop if evaluation.views == "ten_crop" else IMAGE_SIZE)
    last, middle = IMAGE_SIZE - side, (IMAGE_SIZE - side) / 2
    if evaluation.views == "one" and side == IMAGE_SIZE:
        return None
    origins = [(middle, middle)]
    if evaluation.views == "ten_crop":
        origins += [(0, 0), (0, last), (last, 0), (last, last)]
    windows = np.array([(*origin, side, side) for origin in origins], float)
    if evaluation.views == "one":
        return crop_flip_maps(windows, np.array([False]))
    flipped = np.arange(2 * len(windows)) >= len(windows)
    return crop_flip_maps(np.concatenate([windows, windows]), flipped)
