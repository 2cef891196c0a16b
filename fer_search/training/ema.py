"""Exponential moving averages of the weights for prediction, without disturbing the training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
from keras import ops


@contextmanager
def ema_weights(model: keras.Model) -> Iterator[None]:
    """Swap in the optimiser's weight averages for the duration of the context; a no-op without EMA.

    Only the trainable weights are averaged, by Keras' optimiser (``use_ema``); the BN statistics are re-estimated for
    them, see ``fer_search.training.batchnorm_stats``.
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
