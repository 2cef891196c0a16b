"""Dropout and Gaussian noise whose strength may be an input of a compiled step.

Keras branches on the rate in Python and bakes it into the program, so that each rate is another program to compile.
Here it may be a tensor (``fer_search.training.traced_scalars``); the results are Keras' either way.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("fer_search")
class Dropout(keras.layers.Dropout):
    """``keras.layers.Dropout``; while a step is traced its ``rate`` may be a tensor, float32 ()."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not ops.is_tensor(self.rate):
            return super().call(inputs, training=training)
        keep = 1.0 - self.rate
        kept = keras.random.uniform(ops.shape(inputs), dtype="float32", seed=self.seed_generator) < keep
        return ops.where(kept, inputs / ops.cast(keep, inputs.dtype), ops.zeros_like(inputs))


@keras.saving.register_keras_serializable("fer_search")
class GaussianNoise(keras.layers.GaussianNoise):
    """``keras.layers.GaussianNoise``; while a step is traced its ``stddev`` may be a tensor, float32 ()."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not ops.is_tensor(self.stddev):
            return super().call(inputs, training=training)
        noise = keras.random.normal(ops.shape(inputs), dtype=self.compute_dtype, seed=self.seed_generator)
        return inputs + noise * ops.cast(self.stddev, self.compute_dtype)
