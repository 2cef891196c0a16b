"""What training minimises."""

from __future__ import annotations

import keras

from fer_search.design import Optimisation


def make_loss(optimisation: Optimisation, reduction: str = "sum_over_batch_size") -> keras.losses.Loss:
    """Return the design's loss of labels and probabilities, both float32 (n, 7).

    Cross-entropy, or the focal loss, the sum over the classes of -label * (1 - p)^gamma * log p (Lin et al. 2017,
    arXiv:1708.02002, without their alpha, so that gamma 0 is cross-entropy). Label smoothing is no part of it, in
    ``compile`` as little as in our own loops: it is in the labels, which ``fer_search.augment`` smooths and mixes.

    Args:
        optimisation: the design's.
        reduction: "sum_over_batch_size" gives the mean over the batch, "none" float32 (n,), a loss an image.
    """
    if optimisation.focal_gamma:
        return keras.losses.CategoricalFocalCrossentropy(1.0, float(optimisation.focal_gamma), reduction=reduction)
    return keras.losses.CategoricalCrossentropy(reduction=reduction)
