"""A search space as a Keras Tuner HyperModel, for use with stock Keras Tuner, for example in a notebook.

Example::

    import keras_tuner
    from fer_search import FerHyperModel

    tuner = keras_tuner.Hyperband(FerHyperModel("search_spaces/tiny.py"), objective="val_accuracy", max_epochs=9)
    tuner.search(images, labels, validation_split=0.2)  # float (n, height, width, 1), 0 to 255; one-hot (n, classes)
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

from fer_search.augment import augment, draw_epoch
from fer_search.data.spec import DataSpec
from fer_search.design import Augmentation
from fer_search.models import build_model, freeze_backbone_for
from fer_search.space import Space, load_space

FER2013 = DataSpec()


class FerHyperModel(keras_tuner.HyperModel):
    """Builds the models of a space and trains them with its augmentation.

    Training is ``keras.Model.fit`` with the design's network, loss, optimiser, batch size and augmentation. Learning
    rate schedule, class weights and test-time views are not applied (pass Keras callbacks to ``tuner.search``).
    ``fer-search run`` does all of that, and is faster.

    Args:
        space: A space, or the path of its file.
        width: Multiplier of every filter count of every design.
        weights_dir: Folder that may hold pretrained weights.
        seed: Seed of the order and the augmentation of the images.
        spec: Image size, channels and class names of the data; FER2013's by default.
        name: As in Keras Tuner.
        tunable: As in Keras Tuner.
    """

    def __init__(
        self,
        space: Space | str | Path,
        width: float = 1.0,
        weights_dir: str | Path | None = None,
        seed: int = 0,
        spec: DataSpec = FER2013,
        name: str | None = None,
        tunable: bool = True,
    ) -> None:
        super().__init__(name=name, tunable=tunable)
        loaded = space if isinstance(space, Space) else load_space(space)
        self.space = dataclasses.replace(loaded, width=loaded.width * width)
        self.weights_dir = None if weights_dir is None else Path(weights_dir)
        self.seed, self.spec = seed, spec

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Declare all choices of the space, including those in conditional scopes."""
        hp.merge(self.space.choices().space, overwrite=False)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Build the compiled model for the values in ``hp``; see ``fer_search.models.build_model``."""
        return build_model(self.space.design(hp), self.weights_dir, spec=self.spec)

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, x: Any, y: Any = None, **kwargs: Any) -> Any:
        """Train a model on augmented images; called by Keras Tuner.

        Args:
            hp: Values of the choices.
            model: Model returned by ``build``.
            x: Images, uint8 or float (n, height, width, 1), 0 to 255. Without ``y`` (a dataset) it is passed to
                ``keras.Model.fit`` unchanged.
            y: One-hot labels (n, classes).
            **kwargs: As for ``keras.Model.fit``. ``validation_split`` takes the last images, before any shuffling;
                validation images are not augmented.

        Returns:
            The Keras History.
        """
        if y is None:
            return model.fit(x, **kwargs)
        design = self.space.design(hp)
        images, labels = np.asarray(x), np.asarray(y, np.float32)
        if split := kwargs.pop("validation_split", 0.0):
            count = math.floor(len(images) * (1 - split))
            kwargs.setdefault("validation_data", (images[count:], labels[count:]))
            images, labels = images[:count], labels[:count]
        batch_size = kwargs.pop("batch_size", None) or design.optimisation.batch_size
        batches = AugmentedImages(images, labels, batch_size, design.augmentation, self.seed)
        freeze_backbone_for(model, design, len(batches))
        return model.fit(batches, **kwargs | {"shuffle": False})  # the batches are already shuffled


class AugmentedImages(keras.utils.PyDataset):
    """Batches of shuffled, augmented images, reproducible for a given seed.

    Args:
        images: uint8 or float (n, height, width, 1), 0 to 255.
        labels: One-hot labels, float32 (n, classes).
        batch_size: Images per batch; the last batch may be smaller.
        augmentation: Augmentation of the images.
        seed: Seed of the order and the augmentation.
    """

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, batch_size: int, augmentation: Augmentation, seed: int = 0
    ) -> None:
        super().__init__()
        self.images, self.labels = images[..., 0] if images.shape[-1] == 1 else images, labels
        self.batch_size, self.augmentation, self.seed = batch_size, augmentation, seed
        self.epoch = -1
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self.images) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        rng = np.random.default_rng([self.seed, self.epoch, 1 + index])
        draws = draw_epoch(rng, 1, len(rows), self.augmentation, self.images.shape[1])
        step = {name: values[0] for name, values in draws.items()}
        images, labels = augment(self.images[rows], self.labels[rows], step)
        return keras.ops.convert_to_numpy(images), keras.ops.convert_to_numpy(labels)

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch."""
        self.epoch += 1
        self.order = np.random.default_rng([self.seed, self.epoch, 0]).permutation(len(self.images))
