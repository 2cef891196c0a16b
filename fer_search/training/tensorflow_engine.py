"""The engine for TensorFlow: a loop over the steps inside one graph.

The network runs without XLA, which is the faster way on CPUs; the augmentation, all gathers and elementwise arithmetic,
is compiled with XLA into one kernel (9 times faster on a CPU).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fer_search.augment import Plan, augment
from fer_search.training.engine import seed_random_layers

_prepare = tf.function(augment, jit_compile=True, autograph=False)  # one for all trials: it depends on shapes alone


class TensorFlowEngine:
    """See ``fer_search.training.engine.Engine``."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.loss = keras.losses.CategoricalCrossentropy(reduction="none")
        model.optimizer.build(model.trainable_variables)
        self._train = tf.function(self._train_steps, reduce_retracing=True)
        self._predict = tf.function(self._predict_steps)

    def put(self, array: np.ndarray) -> tf.Tensor:
        return tf.constant(array)

    def begin_epoch(self, learning_rate: float, dropout_seeds: np.random.Generator) -> None:
        self.model.optimizer.learning_rate = learning_rate
        seed_random_layers(self.model, dropout_seeds)

    def train(self, data: tuple[Any, Any], batches: Plan, start: int, stop: int) -> np.ndarray:
        sums = self._train(*data, batches, tf.constant(start), tf.constant(stop))
        return sums.numpy().astype(np.float64)

    def end_epoch(self) -> None:
        pass  # the steps write to the model's variables themselves

    def predict(self, images: Any, batches: Plan) -> np.ndarray:
        return self._predict(images, batches).numpy()

    def _train_steps(self, images: Any, labels: Any, batches: dict[str, Any], start: Any, stop: Any) -> Any:
        sums = tf.zeros(3)
        for step in tf.range(start, stop):
            now = {name: values[step] for name, values in batches.items()}
            sums += self._step(tf.gather(images, now["rows"]), tf.gather(labels, now["rows"]), now)
        return sums

    @tf.autograph.experimental.do_not_convert
    def _step(self, images: Any, labels: Any, now: dict[str, Any]) -> Any:
        x, y = _prepare(images, tf.one_hot(labels, self.model.output.shape[-1]), now)
        weights = now["weights"]
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            probabilities = self.model(x, training=True)
            losses = self.loss(y, probabilities)
            loss = tf.reduce_sum(weights * losses) / tf.reduce_sum(weights)
        self.model.optimizer.apply(tape.gradient(loss, variables), variables)
        correct = tf.cast(tf.argmax(probabilities, -1) == tf.argmax(y, -1), tf.float32)
        return tf.stack([tf.reduce_sum(weights * losses), tf.reduce_sum(weights * correct), tf.reduce_sum(weights)])

    def _predict_steps(self, images: Any, batches: dict[str, Any]) -> Any:
        steps, batch = batches["rows"].shape
        out = tf.TensorArray(tf.float32, steps, element_shape=(batch, self.model.output.shape[-1]))
        for step in tf.range(steps):
            now = {name: values[step] for name, values in batches.items()}
            x, _ = _prepare(tf.gather(images, now["rows"]), tf.zeros((batch, 1)), now)
            out = out.write(step, self.model(x, training=False))
        return out.concat()
