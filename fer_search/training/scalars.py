"""Scalars that a compiled step takes as inputs, so that designs which differ in them alone share one program.

These are the rates of dropout, the deviation of noise, the weight decay and the share that moving averages keep. The
learning rate, the strengths of augmentation, label smoothing and class weights are in an epoch's batches and so inputs
anyway. Momentum, the norm that gradients are clipped to and the focal loss's gamma stay constants of the program: Keras
decides in Python by them (whether there is a momentum at all), and spaces rarely vary them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from fer_search.models.random_layers import Dropout, GaussianNoise


class Scalars:
    """The scalars of a model and of its optimiser.

    Args:
        model: compiled.
    """

    def __init__(self, model: keras.Model) -> None:
        optimizer = model.optimizer
        self.places: list[tuple[Any, str]] = [(layer, "rate") for layer in model.layers if isinstance(layer, Dropout)]
        self.places += [(layer, "stddev") for layer in model.layers if isinstance(layer, GaussianNoise)]
        self.places += [(optimizer, "weight_decay")] if optimizer.weight_decay is not None else []
        self.places += [(optimizer, "ema_momentum")] if optimizer.use_ema else []

    def values(self) -> np.ndarray:
        """Return float32 (k,), in an order that is the same for all models of the same layers."""
        return np.array([getattr(owner, name) for owner, name in self.places], np.float32)

    @contextmanager
    def given(self, values: Any) -> Iterator[None]:
        """Give the model and the optimiser, for as long as a step is traced, tensors in the scalars' place."""
        before = [getattr(owner, name) for owner, name in self.places]
        try:
            for (owner, name), value in zip(self.places, values, strict=True):
                setattr(owner, name, value)
            yield
        finally:
            for (owner, name), value in zip(self.places, before, strict=True):
                setattr(owner, name, value)
