"""Predicting with moving averages of the weights, without disturbing the training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
from keras import ops


@contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Give a model, for as long as this lasts, the averages that its optimiser keeps; one without any stays as it is.

    Averaged are the trained weights, by Keras' optimiser (``use_ema``); BN's statistics are measured anew for them, see
    ``fer_search.training.batchnorm_stats``.
    """
    if not model.optimizer.use_ema:
        yield
        return
    trained = [ops.copy(variable.value) for variable in model.trainable_variables]
    model.optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, trained, strict=True):
            variable.assign(value)
