"""The learning rate of an epoch, from the epochs before it."""

from __future__ import annotations

from collections.abc import Sequence

from fer_search.design import Optimisation

MIN_DELTA = 1e-4  # what Keras' ReduceLROnPlateau counts as an improvement by default


def learning_rate(optimisation: Optimisation, val_losses: Sequence[float]) -> float:
    """Return the learning rate of the epoch that follows the given ones.

    "plateau" is Keras' ReduceLROnPlateau (monitor val_loss, mode min, no cooldown) as a function of the history, so that
    a resumed training needs nothing but its table of epochs.

    Args:
        optimisation: the design's.
        val_losses: validation loss of each epoch so far, the first one first.
    """
    rate = optimisation.learning_rate
    if optimisation.schedule == "constant":
        return rate
    best, waited = float("inf"), 0
    for loss in val_losses:
        if loss < best - MIN_DELTA:
            best, waited = loss, 0
            continue
        waited += 1
        if waited >= optimisation.plateau_patience and rate > optimisation.min_learning_rate:
            rate, waited = max(rate * optimisation.plateau_factor, optimisation.min_learning_rate), 0
    return rate
