"""Batch-norm statistics for prediction, re-estimated on training images before every validation ("precise BN").

Keras' moving averages keep 0.99 per step and lag behind the weights. At the report's batch size an epoch of 6,000
images has 24 steps, after which 79% of the averages is still their initial 0 and 1; later they belong to weights a
hundred steps old. Figure 1 at an eighth of its width, after five epochs of 6,000 images at batch size 64, scores 0.4
with re-estimated statistics and 0.2 to 0.43 with moving averages, depending on the seed: short rungs and small subsets
would rank designs by chance. So the statistics are measured with the current weights (Wu & Johnson 2021,
arXiv:2105.07576) and stored in the model, where training itself does not use them. Averaged weights need this all the
more (Izmailov et al. 2018, arXiv:1803.05407: ``update_bn``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops

from fer_search.training.traced_scalars import patched

MAX_IMAGES = 1024  # using three times as many changes no validation accuracy by more than 0.003


def trainable_batchnorms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Return the BN layers that learn their statistics; frozen ones keep their pretrained statistics."""
    return [x for x in _layers(model) if isinstance(x, keras.layers.BatchNormalization) and x.trainable]


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield all layers, including those of nested models such as a backbone."""
    for layer in model.layers:
        yield from _layers(layer) if isinstance(layer, keras.Model) else (layer,)


def draw_measurement_batches(rng: np.random.Generator, images: int, batch: int) -> np.ndarray:
    """Draw the images to measure on, without replacement: int32 (steps, batch), about MAX_IMAGES in full batches."""
    batch = min(batch, images)
    steps = max(1, min(images, MAX_IMAGES) // batch)
    return rng.permutation(images)[: steps * batch].reshape(steps, batch).astype(np.int32)


DROPOUTS = (keras.layers.Dropout, keras.layers.GaussianDropout, keras.layers.AlphaDropout)


@contextmanager
def accumulating_statistics(model: keras.Model, step: Any) -> Iterator[None]:
    """Make a call with ``training=True``, traced in this context, only update the BN statistics.

    After steps 0, 1, ..., k the statistics are the mean over k + 1 batches. Dropout and noise are off, as in inference.

    Args:
        model: The model to call.
        step: Index of the batch, int or integer tensor, 0 for the first.
    """
    step = ops.cast(step, "float32")
    overrides: list[tuple[Any, str, Any]] = [(x, "momentum", step / (step + 1)) for x in trainable_batchnorms(model)]
    overrides += [(x, "rate", 0.0) for x in _layers(model) if isinstance(x, DROPOUTS)]
    overrides += [(x, "stddev", 0.0) for x in _layers(model) if isinstance(x, keras.layers.GaussianNoise)]
    with patched([(vars(layer), name) for layer, name, _ in overrides], [value for *_, value in overrides]):
        yield
