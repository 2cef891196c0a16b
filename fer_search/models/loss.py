"""Training loss."""

from __future__ import annotations

import keras

from fer_search.design import Optimisation
from fer_search.models.custom import user_training


def make_loss(optimisation: Optimisation, reduction: str = "sum_over_batch_size") -> keras.losses.Loss:
    """Return the design's loss of labels and probabilities, both float32 (n, classes).

    Cross-entropy or focal loss, the sum over the classes of -label * (1 - p)^gamma * log p (Lin et al. 2017,
    arXiv:1708.02002, without their alpha, so that gamma 0 is cross-entropy). Label smoothing is not part of it:
    ``fer_search.augment`` smooths and mixes the labels.

    Args:
        optimisation: The design's optimisation.
        reduction: "sum_over_batch_size" for the batch mean, "none" for one loss per image, float32 (n,).
    """
    if optimisation.focal_gamma:
        return keras.losses.CategoricalFocalCrossentropy(1.0, float(optimisation.focal_gamma), reduction=reduction)
    return keras.losses.CategoricalCrossentropy(reduction=reduction)


def training_loss(model: keras.Model, optimisation: Optimisation) -> keras.losses.Loss:
    """Return the loss that a model is trained with, one value per image: the user's, if they compiled it."""
    training = user_training(model)
    return training.loss if training else make_loss(optimisation, reduction="none")
