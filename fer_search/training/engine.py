"""An engine trains and evaluates one model on one backend; which one is chosen by the Keras backend in use."""

from __future__ import annotations

from typing import Any, Protocol

import keras
import numpy as np

from fer_search.augment import Plan
from fer_search.errors import UserError


class Engine(Protocol):
    """Trains a compiled model on images that stay on the device, many steps a dispatch.

    The model, its optimiser and its loss are Keras'; only the loop around them is the engine's.

    Args:
        model: compiled.
        loss: of labels and probabilities, one value an image (reduction "none").
    """

    def __init__(self, model: keras.Model, loss: keras.losses.Loss) -> None: ...

    def put(self, array: np.ndarray) -> Any:
        """Move an array to the device once, for use in any number of epochs."""

    def begin_epoch(self, data: tuple[Any, Any], batches: Plan, random_seeds: np.random.Generator) -> None:
        """Make ready for an epoch: its batches go to the device, and every random layer gets a new state.

        Args:
            data: images uint8 (n, 48, 48) and labels int32 (n,), from ``put``.
            batches: rows int32 (steps, batch); weights float32 (steps, batch), 0 where a row fills up a batch;
                loss_weights float32 (steps, batch), what each image's loss counts; learning_rates float32 (steps,);
                and the augmentation's plan.
            random_seeds: where the states of random layers (dropout) come from.
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

    def predict(self, images: Any, batches: Plan) -> np.ndarray:
        """Return the probabilities, float32 (steps * batch, 7), of images augmented as ``batches`` says."""


def make_engine(model: keras.Model, loss: keras.losses.Loss) -> Engine:
    """Return the engine for the Keras backend in use.

    Raises:
        UserError: there is none for this backend.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        from fer_search.training.tensorflow_engine import TensorFlowEngine

        return TensorFlowEngine(model, loss)
    if backend == "jax":
        from fer_search.training.jax_engine import JaxEngine

        return JaxEngine(model, loss)
    raise UserError(f"KERAS_BACKEND={backend} is not supported; use tensorflow or jax")


def random_states(model: keras.Model) -> list[Any]:
    """Return the variables that hold the state of the model's random layers (Keras' SeedGenerator), in layer order."""
    weights = {id(v) for v in model.weights}
    return [v for v in model.variables if id(v) not in weights]


def seed_random_layers(model: keras.Model, rng: np.random.Generator) -> None:
    """Give every random layer (dropout) a new state, drawn from ``rng``."""
    for state in random_states(model):
        state.assign(rng.integers(2**31, size=state.shape))
