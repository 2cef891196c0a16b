"""An engine trains and evaluates one model on one backend; which one is chosen by the Keras backend in use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import keras
import numpy as np

from fer_search.augment import Plan
from fer_search.errors import UserError

RandomSeeds = np.random.Generator | Sequence[np.ndarray]


class Engine(Protocol):
    """Trains a compiled model on images that stay on the device, many steps a dispatch.

    The model, its optimiser and its loss are Keras'; only the loop around them is the engine's.

    Args:
        model: compiled.
        loss: of labels and probabilities, one value an image (reduction "none").
        parts: micro-batches that a step is cut into. Their gradients are added up: the step is that of the whole batch,
            in less memory; only BN's statistics are then those of a micro-batch.
    """

    def __init__(self, model: keras.Model, loss: keras.losses.Loss, parts: int = 1) -> None: ...

    def put(self, array: np.ndarray) -> Any:
        """Move an array to the device once, for use in any number of epochs."""

    def begin_epoch(self, data: tuple[Any, Any], batches: Plan, random_seeds: RandomSeeds) -> None:
        """Make ready for an epoch: its batches go to the device, and every random layer gets a new state.

        Args:
            data: images uint8 (n, 48, 48) and labels int32 (n,), from ``put``.
            batches: rows int32 (steps, batch); weights float32 (steps, batch), 0 where a row fills up a batch;
                loss_weights float32 (steps, batch), what each image's loss counts; learning_rates float32 (steps,);
                and the augmentation's plan.
            random_seeds: where the states of random layers (dropout) come from; for the rest of an epoch, the states.
        """

    def train(self, start: int, stop: int) -> np.ndarray:
        """Take the epoch's steps ``start`` to ``stop - 1``.

        The gradient is that of the sum of the weighted losses over the sum of ``weights``.

        Returns:
            float64 (3,): sum over the images of the weighted loss, of the correct ones, and of the weights; added up in
            float64 step by step, so that it does not depend on how an epoch is cut into calls.
        """

    def end_epoch(self) -> None:
        """Leave the model's variables as trained."""

    def measure(self, images: Any, batches: Plan) -> None:
        """Put the means over these batches into BN's moving statistics; see ``fer_search.training.batchnorm_stats``."""

    def predict(self, images: Any, batches: Plan) -> np.ndarray:
        """Return the probabilities, float32 (steps * batch, 7), of images augmented as ``batches`` says."""


def make_engine(model: keras.Model, loss: keras.losses.Loss, parts: int = 1) -> Engine:
    """Return the engine for the Keras backend in use.

    Raises:
        UserError: there is none for this backend.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        from fer_search.training.tensorflow_engine import TensorFlowEngine

        return TensorFlowEngine(model, loss, parts=parts)
    if backend == "jax":
        from fer_search.training.jax_engine import JaxEngine

        return JaxEngine(model, loss, parts=parts)
    raise UserError(f"KERAS_BACKEND={backend} is not supported; use tensorflow or jax")


@contextmanager
def on_devices(count: int) -> Iterator[None]:
    """Build and train models, for as long as this lasts, on several devices, each of which takes a share of each batch.

    On JAX it is ``keras.distribution.DataParallel``, on TensorFlow ``tf.distribute.MirroredStrategy``; see the engines
    for what that means for BN and dropout. Gradients are added up over the devices, so that a step is that of the whole
    batch. A batch that does not divide is filled up with images at weight 0, which only BN sees.

    Args:
        count: of devices, the first ones that the backend sees; 1 changes nothing.
    """
    if count == 1:
        yield
        return
    if keras.backend.backend() == "jax":
        from fer_search.training import jax_engine as engine
    else:
        from fer_search.training import tensorflow_engine as engine  # type: ignore[no-redef]
    with engine.on_devices(count):
        yield


def fill_up(batches: Plan, devices: int) -> Plan:
    """Repeat the first places of each step at its end, at weight 0, until the batch divides by the devices."""
    batch = batches["rows"].shape[1]
    short = -batch % devices
    if not short:
        return batches
    places = np.arange(batch + short) % batch
    full = {name: values[:, places] if values.ndim > 1 else values for name, values in batches.items()}
    for name in {"weights", "loss_weights"} & full.keys():
        full[name][:, batch:] = 0
    return full


def random_states(model: keras.Model) -> list[Any]:
    """Return the variables that hold the state of the model's random layers (Keras' SeedGenerator), in layer order."""
    weights = {id(v) for v in model.weights}
    return [v for v in model.variables if id(v) not in weights]


def seed_random_layers(model: keras.Model, seeds: RandomSeeds) -> None:
    """Give every random layer (dropout) a state: a new one, drawn from a generator, or the given one."""
    states = random_states(model)
    if isinstance(seeds, np.random.Generator):
        seeds = [seeds.integers(2**31, size=state.shape) for state in states]
    for state, value in zip(states, seeds, strict=True):
        state.assign(value)


def cut(array: Any, parts: int) -> Any:
    """Cut a batch (n, ...) into micro-batches (parts, ceil(n / parts), ...), filled up with zeros."""
    missing = [(0, -array.shape[0] % parts)] + [(0, 0)] * (len(array.shape) - 1)
    return keras.ops.reshape(keras.ops.pad(array, missing), (parts, -1, *array.shape[1:]))
