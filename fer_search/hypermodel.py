"""A search space as a Keras Tuner HyperModel, for any tuner of Keras Tuner's own, in a notebook say.

import keras_tuner
from fer_search import FerHyperModel

tuner = keras_tuner.Hyperband(FerHyperModel("search_spaces/tiny.py"), objective="val_accuracy", max_epochs=9)
tuner.search(images, labels, validation_split=0.2)  # (n, 48, 48, 1) from 0 to 255; one-hot (n, 7)
model = tuner.get_best_models()[0]
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from fer_search.augment import augment, draw_plan
from fer_search.design import Augmentation
from fer_search.models import build_model, hold_backbone
from fer_search.space import Space, load_space


class FerHyperModel(keras_tuner.HyperModel):
    """Builds the models of a space, and trains them under its augmentation.

    Training is ``keras.Model.fit``: network, loss, optimiser, batch size and augmentation are the design's; its
    schedule of the learning rate, class weights and views are not (give ``tuner.search`` Keras' callbacks).
    ``fer-search run`` does all of it, and faster.

    Args:
        space: a space, or the path of its file.
        width: factor on every filter count of every design.
        weights_dir: a folder that may hold pretrained weights.
        seed: of the augmentation.
        name: as in Keras Tuner.
        tunable: as in Keras Tuner.
    """

    def __init__(
        self,
        space: Space | str | Path,
        width: float = 1.0,
        weights_dir: str | Path | None = None,
        seed: int = 0,
        name: str | None = None,
        tunable: bool = True,
    ) -> None:
        super().__init__(name=name, tunable=tunable)
        loaded = space if isinstance(space, Space) else load_space(space)
        self.space = dataclasses.replace(loaded, width=loaded.width * width)
        self.weights_dir = None if weights_dir is None else Path(weights_dir)
        self.seed = seed

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Name all choices of the space, those in conditional scopes included."""
        hp.merge(self.space.choices().space, overwrite=False)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Return the compiled model for the values in ``hp``; see ``fer_search.models.build_model``."""
        return build_model(self.space.design(hp), self.weights_dir)

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, x: Any, y: Any = None, **kwargs: Any) -> Any:
        """Train a model on augmented images; Keras Tuner calls this.

        Args:
            hp: the values of the choices.
            model: what ``build`` gave.
            x: images, uint8 or float (n, 48, 48, 1), from 0 to 255. Anything that is no array (a dataset) goes to
                ``keras.Model.fit`` as it is, with the rest.
            y: labels, one-hot (n, 7).
            **kwargs: as for ``keras.Model.fit``. ``validation_split`` takes the last images, before any shuffling;
                images to validate on are not augmented.

        Returns:
            A Keras History.
        """
        if y is None:
            return model.fit(x, **kwargs)
        design = self.space.design(hp)
        images, labels = np.asarray(x), np.asarray(y, np.float32)
        if split := kwargs.pop("validation_split", 0.0):
            kept = math.floor(len(images) * (1 - split))
            kwargs.setdefault("validation_data", (images[kept:], labels[kept:]))
            images, labels = images[:kept], labels[:kept]
        batch_size = kwargs.pop("batch_size", None) or design.optimisation.batch_size
        batches = AugmentedImages(images, labels, batch_size, design.augmentation, self.seed)
        hold_backbone(model, design, len(batches))
        return model.fit(batches, **kwargs | {"shuffle": False})  # the batches are shuffled already


class AugmentedImages(keras.utils.PyDataset):
    """Batches of shuffled, augmented images, the same for the same seed.

    Args:
        images: uint8 or float (n, 48, 48, 1), from 0 to 255.
        labels: float32 (n, 7), one-hot.
        batch_size: images a batch; the last one may have fewer.
        augmentation: what happens to them.
        seed: of the order and the augmentation.
    """

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, batch_size: int, augmentation: Augmentation, seed: int = 0
    ) -> None:
        super().__init__()
        self.images, self.labels = images.reshape(images.shape[:3]), labels
        self.batch_size, self.augmentation, self.seed = batch_size, augmentation, seed
        self.epoch = -1
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self.images) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        rng = np.random.default_rng([self.seed, self.epoch, 1 + index])
        plan = draw_plan(rng, 1, len(rows), self.augmentation)
        step = {name: values[0] for name, values in plan.items()}
        images, labels = augment(self.images[rows], self.labels[rows], step)
        return keras.ops.convert_to_numpy(images), keras.ops.convert_to_numpy(labels)

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch."""
        self.epoch += 1
        self.order = np.random.default_rng([self.seed, self.epoch, 0]).permutation(len(self.images))
