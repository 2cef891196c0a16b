"""Interface of the training engines, one per backend, and the helpers that they share.

``fer_search.training.engines`` chooses the implementation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from fer_search.augment import EpochDraws

RandomSeeds = np.random.Generator | Sequence[np.ndarray]


class Engine(ABC):
    """Trains a compiled model on images that stay on the device, many steps per dispatch.

    Model, optimiser and loss are Keras'; only the loop around them is the engine's.

    Args:
        model: Compiled model.
        loss: Loss of labels and probabilities with reduction "none".
        micro_batches: Number of micro-batches per step. Their gradients are accumulated: the step equals that of the
            full batch in less memory, except that BN statistics are those of a micro-batch.
    """

    def __init__(self, model: keras.Model, loss: keras.losses.Loss, micro_batches: int = 1) -> None:
        self.model, self.loss, self.micro_batches = model, loss, micro_batches
        self.classes = model.output.shape[-1]
        model.optimizer.build(model.trainable_variables)

    @abstractmethod
    def put(self, array: np.ndarray) -> Any:
        """Copy an array to the device, for use in any number of epochs."""

    @abstractmethod
    def begin_epoch(self, data: tuple[Any, Any], batches: EpochDraws, random_seeds: RandomSeeds) -> None:
        """Prepare an epoch: copy its batches to the device and reset the state of every random layer.

        Args:
            data: Images uint8 (n, height, width) and labels int32 (n,), from ``put``.
            batches: rows int32 (steps, batch); weights float32 (steps, batch), 0 for padding; loss_weights float32
                (steps, batch); learning_rates float32 (steps,); and the epoch's augmentation.
            random_seeds: Source of the states of random layers (dropout) or, when resuming mid-epoch, the states.
        """

    @abstractmethod
    def train(self, start: int, stop: int) -> np.ndarray:
        """Run the epoch's steps ``start`` to ``stop - 1``.

        The gradient is that of the sum of the weighted losses over the sum of ``weights``.

        Returns:
            float64 (3,): summed weighted loss, number of correct predictions, sum of weights. Accumulated in float64
            step by step, so that the split of an epoch into calls does not matter.
        """

    @abstractmethod
    def end_epoch(self) -> None:
        """Write the trained state back to the model's variables."""

    @abstractmethod
    def measure_batchnorm(self, images: Any, batches: EpochDraws) -> None:
        """Set BN's statistics to their means over these batches; see ``fer_search.training.batchnorm_stats``."""

    @abstractmethod
    def predict(self, images: Any, batches: EpochDraws) -> np.ndarray:
        """Return probabilities, float32 (steps * batch, classes), of images augmented as ``batches`` says."""


def is_per_image(name: str, values: np.ndarray) -> bool:
    """Return whether an entry of an epoch's draws has an axis over the images of a step, the second one."""
    return values.ndim > 1 and name != "shrink"


def pad_batches(batches: EpochDraws, multiple: int) -> EpochDraws:
    """Pad each step's batch to a multiple by repeating its first images at weight 0."""
    batch = batches["rows"].shape[1]
    missing = -batch % multiple
    if not missing:
        return batches
    indices = np.arange(batch + missing) % batch
    padded = {name: values[:, indices] if is_per_image(name, values) else values for name, values in batches.items()}
    for name in {"weights", "loss_weights"} & padded.keys():
        padded[name][:, batch:] = 0
    return padded


def random_states(model: keras.Model) -> list[Any]:
    """Return the state variables of the model's random layers (Keras' SeedGenerator), in layer order."""
    weights = {id(v) for v in model.weights}
    return [v for v in model.variables if id(v) not in weights]


def seed_random_layers(model: keras.Model, seeds: RandomSeeds) -> None:
    """Set the state of every random layer (dropout), drawn from a generator or as given."""
    states = random_states(model)
    if isinstance(seeds, np.random.Generator):
        seeds = [seeds.integers(2**31, size=state.shape) for state in states]
    for state, value in zip(states, seeds, strict=True):
        state.assign(value)


def split_micro_batches(batch: Sequence[Any], count: int) -> list[Any]:
    """Split a batch into micro-batches (count, ceil(n / count), ...), padded with its first images at weight 0.

    Args:
        batch: Arrays (n, ...): images, labels, and two arrays of weights.
        count: Number of micro-batches.
    """
    size = batch[0].shape[0]
    missing = -size % count
    if missing:
        images, labels, *weights = batch
        repeated = np.arange(size + missing) % size  # black images would enter batch normalisation
        padded = [keras.ops.take(array, repeated, axis=0) for array in (images, labels)]
        batch = [*padded, *(keras.ops.pad(array, [(0, missing)]) for array in weights)]
    return [keras.ops.reshape(array, (count, -1, *array.shape[1:])) for array in batch]
