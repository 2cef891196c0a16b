"""Scalar hyperparameters as inputs of a compiled step, so that designs differing only in them share one program.

These are: dropout rates, noise deviation, weight decay, EMA momentum, momentum, gradient clipping thresholds, a
backbone's learning-rate factor and frozen steps, and the focal loss's gamma. Learning rate, augmentation strengths,
label smoothing and class weights are part of an epoch's batches and so inputs anyway. Whether one of them is present at
all changes the program.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from fer_search.models.random_layers import Dropout, GaussianNoise

Slot = tuple[dict[str, Any], str]  # attributes of an object, and the name of one
BRANCHED_ON = ("momentum", "clipvalue", "global_clipnorm", "frozen_steps")  # optimiser code tests these in Python


class Scalars:
    """The scalar hyperparameters of a model, its optimiser and its loss.

    Args:
        model: Compiled model.
        loss: Loss made by ``fer_search.models.make_loss``.
    """

    def __init__(self, model: keras.Model, loss: keras.losses.Loss) -> None:
        optimizer, layers = model.optimizer.__dict__, model.layers
        self.slots: list[Slot] = []
        self.slots += [(layer.__dict__, "rate") for layer in layers if isinstance(layer, Dropout)]
        self.slots += [(layer.__dict__, "stddev") for layer in layers if isinstance(layer, GaussianNoise)]
        ema = ("ema_momentum",) if model.optimizer.use_ema else ()
        names = ("weight_decay", "backbone_factor", *ema, *BRANCHED_ON)
        self.slots += [(optimizer, name) for name in names if optimizer.get(name)]
        if isinstance(loss, keras.losses.CategoricalFocalCrossentropy):
            self.slots += [(loss._fn_kwargs, "gamma")]  # where Keras' call reads it

    def values(self) -> np.ndarray:
        """Return the current values, float32 (k,), in the same order for all models with the same layers."""
        return np.array([owner[name] for owner, name in self.slots], np.float32)

    @contextmanager
    def substituted(self, tensors: Any) -> Iterator[None]:
        """Replace the scalars by tensors, float32 (k,), while a step is traced."""
        numbers = (owner[name] for owner, name in self.slots)
        values = [
            ConcreteTensor(tensor, number) if name in BRANCHED_ON else tensor
            for (_, name), tensor, number in zip(self.slots, tensors, numbers, strict=True)
        ]
        with patched(self.slots, values):
            yield


@contextmanager
def patched(slots: Sequence[Slot], values: Sequence[Any]) -> Iterator[None]:
    """Set attributes to other values for the duration of the context."""
    before = [owner[name] for owner, name in slots]
    try:
        for (owner, name), value in zip(slots, values, strict=True):
            owner[name] = value
        yield
    finally:
        for (owner, name), value in zip(slots, before, strict=True):
            owner[name] = value


class ConcreteTensor:
    """A traced tensor whose truth value and comparisons use a concrete number, for Keras' ``if momentum > 0`` branches.

    Args:
        tensor: float32 (), used in arithmetic.
        number: Its concrete value, used in Python conditions.
    """

    def __init__(self, tensor: Any, number: float) -> None:
        self.tensor, self.number = tensor, number

    def __bool__(self) -> bool:
        return bool(self.number)

    def __ne__(self, other: object) -> bool:
        return self.number != other

    def __gt__(self, other: float) -> bool:
        return self.number > other

    def __neg__(self) -> Any:
        return -self.tensor

    def __mul__(self, other: Any) -> Any:
        return self.tensor * other

    def __rtruediv__(self, other: Any) -> Any:
        return other / self.tensor

    def __jax_array__(self) -> Any:
        return self.tensor
