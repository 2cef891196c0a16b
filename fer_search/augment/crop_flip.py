"""The views of an image over which its predicted probabilities are averaged."""

from __future__ import annotations

import numpy as np

from fer_search.augment.geometry import still_maps
from fer_search.design import IMAGE_SIZE, Augmentation, Evaluation


def view_maps(augmentation: Augmentation, evaluation: Evaluation) -> np.ndarray | None:
    """Return the affine map of each view, or None where the only view is the image as it is.

    Args:
        augmentation: of the training images; where it crops, so do the views.
        evaluation: which views.

    Returns:
        float32 (views, 2, 3), as of ``fer_search.augment.geometry``.
    """
    side = augmentation.crop or (evaluation.crop if evaluation.views == "ten_crop" else IMAGE_SIZE)
    last, middle = IMAGE_SIZE - side, (IMAGE_SIZE - side) / 2
    if evaluation.views == "one" and side == IMAGE_SIZE:
        return None
    places = [(middle, middle)]
    if evaluation.views == "ten_crop":
        places += [(0, 0), (0, last), (last, 0), (last, last)]
    windows = np.array([(*place, side, side) for place in places], float)
    if evaluation.views == "one":
        return still_maps(windows, np.array([False]))
    mirrored = np.arange(2 * len(windows)) >= len(windows)
    return still_maps(np.concatenate([windows, windows]), mirrored)
