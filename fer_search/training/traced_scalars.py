"""Scalars that a compiled step takes as inputs, so that designs which differ in them alone share one program.

These are the rates of dropout, the deviation of noise, the weight decay, the share that moving averages keep, momentum,
the limits of gradients, a backbone's share of the learning rate and the steps that it waits, and the focal loss's
gamma. The learning rate, the strengths of augmentation, label smoothing and class weights are in an epoch's batches and
so inputs anyway. Whether there is any of these at all changes the program.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from fer_search.models.random_layers import Dropout, GaussianNoise

Place = tuple[dict[str, Any], str]  # the attributes of an object, and a name among them
ASKED = ("momentum", "clipvalue", "global_clipnorm", "frozen_steps")  # of optimisers: code asks whether there is any


class Scalars:
    """The scalars of a model, of its optimiser and of its loss.

    Args:
        model: compiled.
        loss: of ``fer_search.models.make_loss``.
    """

    def __init__(self, model: keras.Model, loss: keras.losses.Loss) -> None:
        optimizer, layers = model.optimizer.__dict__, model.layers
        self.places: list[Place] = []
        self.places += [(layer.__dict__, "rate") for layer in layers if isinstance(layer, Dropout)]
        self.places += [(layer.__dict__, "stddev") for layer in layers if isinstance(layer, GaussianNoise)]
        averages = ("ema_momentum",) if model.optimizer.use_ema else ()
        names = ("weight_decay", "backbone_factor", *averages, *ASKED)
        self.places += [(optimizer, name) for name in names if optimizer.get(name)]
        if isinstance(loss, keras.losses.CategoricalFocalCrossentropy):
            self.places += [(loss._fn_kwargs, "gamma")]  # where Keras' call finds it

    def values(self) -> np.ndarray:
        """Return float32 (k,), in an order that is the same for all models of the same layers."""
        return np.array([owner[name] for owner, name in self.places], np.float32)

    @contextmanager
    def given(self, values: Any) -> Iterator[None]:
        """Give the model and the optimiser, for as long as a step is traced, tensors in the scalars' place."""
        numbers = (owner[name] for owner, name in self.places)
        given = [
            Asked(value, number) if name in ASKED else value
            for (_, name), value, number in zip(self.places, values, numbers, strict=True)
        ]
        with replaced(self.places, given):
            yield


@contextmanager
def replaced(places: Sequence[Place], values: Sequence[Any]) -> Iterator[None]:
    """Put values in places, for as long as a step is traced."""
    before = [owner[name] for owner, name in places]
    try:
        for (owner, name), value in zip(places, values, strict=True):
            owner[name] = value
        yield
    finally:
        for (owner, name), value in zip(places, before, strict=True):
            owner[name] = value


class Asked:
    """A tensor in a number's place that answers for the number where Python asks, as Keras does: is it above 0?

    Args:
        tensor: float32 (), what is computed with.
        number: what it stands for.
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
