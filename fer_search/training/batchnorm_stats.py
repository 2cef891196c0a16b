"""The statistics that BN predicts with: measured on training images, instead of trailing behind the weights.

Keras' moving statistics keep 0.99 of themselves a step. At the report's batch size an epoch of 6,000 images has 24
steps and leaves 79% of them at the 0 and 1 that they began with; later they are those of weights that the network had a
hundred steps ago. Figure 1 at an eighth of its width, after five epochs of 6,000 images in batches of 64, has 0.4 of
those right and 0.2 to 0.43 of others, depending on the seed: rungs and small subsets rank designs by chance. So before
every validation the statistics are measured with the weights as they are ("precise BN", Wu & Johnson 2021,
arXiv:2105.07576), and stay in the model: training itself does not look at them. Averages of weights need that all the
more (Izmailov et al. 2018, arXiv:1803.05407: ``update_bn``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops

from fer_search.training.traced_scalars import replaced

IMAGES = 1024  # three times as many change no validation accuracy by more than 0.003


def measured_layers(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Return the BN layers that learn their statistics; frozen ones keep what they were trained with."""
    return [x for x in _layers(model) if isinstance(x, keras.layers.BatchNormalization) and x.trainable]


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield the layers, those of a backbone, which is a model in the model, included."""
    for layer in model.layers:
        yield from _layers(layer) if isinstance(layer, keras.Model) else (layer,)


def draw_rows(rng: np.random.Generator, images: int, batch: int) -> np.ndarray:
    """Return which images to measure on: int32 (steps, batch), none of them twice, about IMAGES in whole batches."""
    batch = min(batch, images)
    steps = max(1, min(images, IMAGES) // batch)
    return rng.permutation(images)[: steps * batch].reshape(steps, batch).astype(np.int32)


@contextmanager
def measuring(model: keras.Model, step: Any) -> Iterator[None]:
    """While a call with ``training=True`` is traced, let it do nothing but add a batch to the measured statistics.

    After steps 0, 1, ..., k they are the mean over k + 1 batches. Dropout and noise are off, as in a prediction.

    Args:
        model: the one to be called.
        step: 0 for the first batch; a whole number or an integer tensor.
    """
    step = ops.cast(step, "float32")
    new: list[tuple[Any, str, Any]] = [(x, "momentum", step / (step + 1)) for x in measured_layers(model)]
    new += [(x, "rate", 0.0) for x in _layers(model) if isinstance(x, keras.layers.Dropout)]
    new += [(x, "stddev", 0.0) for x in _layers(model) if isinstance(x, keras.layers.GaussianNoise)]
    with replaced([(vars(layer), name) for layer, name, _ in new], [value for *_, value in new]):
        yield
