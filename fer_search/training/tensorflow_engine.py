"""The engine for TensorFlow: a loop over the steps inside one graph.

On CPUs the network runs without XLA, which is the faster way there; the augmentation, all gathers and elementwise
arithmetic, is compiled with XLA into one kernel (9 times faster on a CPU). On GPUs XLA compiles the whole step, as
Keras does by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fer_search.augment import Plan, augment
from fer_search.training.engine import RandomSeeds, cut, seed_random_layers

Tensors = dict[str, tf.Tensor]
_prepare = tf.function(augment, jit_compile=True, autograph=False)  # one for all trials: it depends on shapes alone


class TensorFlowEngine:
    """See ``fer_search.training.engine.Engine``.

    Args:
        model: compiled.
        loss: of labels and probabilities, one value an image.
        jit: whether XLA compiles the step; None for "on a GPU".
        parts: micro-batches of a step.
    """

    def __init__(self, model: keras.Model, loss: keras.losses.Loss, jit: bool | None = None, parts: int = 1) -> None:
        self.model, self.loss, self.parts = model, loss, parts
        self.classes = model.output.shape[-1]
        model.optimizer.build(model.trainable_variables)
        # Keras adds gradients up over devices even where there is one, through a custom gradient that TensorFlow
        # registers for good, and with it the whole graph: 15 MB a trial.
        model.optimizer._all_reduce_sum_gradients = lambda gradients_and_variables: gradients_and_variables
        if jit is None:
            jit = bool(tf.config.list_physical_devices("GPU"))
        self._step = tf.function(self._take_step, jit_compile=True, autograph=False) if jit else self._take_step
        self._train, self._predict = _Program(self._train_steps), _Program(self._predict_steps)

    def put(self, array: np.ndarray) -> tf.Tensor:
        return tf.constant(array)

    def begin_epoch(self, data: tuple[Any, Any], batches: Plan, random_seeds: RandomSeeds) -> None:
        self.epoch = (*data, _tensors(batches))
        seed_random_layers(self.model, random_seeds)

    def train(self, start: int, stop: int) -> np.ndarray:
        sums = self._train(*self.epoch, tf.constant(start), tf.constant(stop))
        return sums.numpy().astype(np.float64).sum(axis=0)

    def end_epoch(self) -> None:
        del self.epoch  # the steps write to the model's variables themselves

    def predict(self, images: Any, batches: Plan) -> np.ndarray:
        return self._predict(images, _tensors(batches)).numpy()

    def _train_steps(self, images: Any, labels: Any, batches: Tensors, start: Any, stop: Any) -> Any:
        def body(step: Any, sums: Any) -> tuple[Any, Any]:
            now = {name: values[step] for name, values in batches.items()}
            more = self._step(tf.gather(images, now["rows"]), tf.gather(labels, now["rows"]), now)
            return step + 1, sums.write(step - start, more)

        sums = tf.TensorArray(tf.float32, stop - start, element_shape=(3,))
        return tf.while_loop(lambda step, _: step < stop, body, (start, sums), parallel_iterations=1)[1].stack()

    def _take_step(self, images: Any, labels: Any, now: Tensors) -> Any:
        x, y = _prepare(images, tf.one_hot(labels, self.classes), now)
        optimizer, variables = self.model.optimizer, self.model.trainable_variables
        optimizer.learning_rate = now["learning_rates"]
        count, batch = tf.reduce_sum(now["weights"]), (x, y, now["weights"], now["loss_weights"])
        gradients, sums = self._gradients(batch, count) if self.parts == 1 else self._gradients_in_parts(batch, count)
        optimizer.apply(gradients, variables)
        return tf.concat([sums, [count]], 0)

    def _gradients(self, batch: Any, count: Any) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Return the gradients, and the sums of the weighted loss and of the correct ones."""
        x, y, weights, loss_weights = batch
        with tf.GradientTape() as tape:
            probabilities = self.model(x, training=True)
            loss = tf.reduce_sum(loss_weights * self.loss(y, probabilities))
            mean = loss / count
        correct = tf.cast(tf.argmax(probabilities, -1) == tf.argmax(y, -1), tf.float32)
        gradients = tape.gradient(mean, self.model.trainable_variables)
        return gradients, tf.stack([loss, tf.reduce_sum(weights * correct)])

    def _gradients_in_parts(self, batch: Any, count: Any) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Do the same in micro-batches, in a loop, so that the activations of one alone are in memory."""
        parts = [cut(array, self.parts) for array in batch]

        def body(k: Any, gradients: Any, sums: Any) -> tuple[Any, Any, Any]:
            more, own = self._gradients([array[k] for array in parts], count)
            return k + 1, [a + b for a, b in zip(gradients, more, strict=True)], sums + own

        start = (0, [tf.zeros(v.shape) for v in self.model.trainable_variables], tf.zeros(2))
        return tf.while_loop(lambda k, *_: k < self.parts, body, start, parallel_iterations=1)[1:]

    def _predict_steps(self, images: Any, batches: Tensors) -> Any:
        steps, batch = batches["rows"].shape

        def body(step: Any, out: Any) -> tuple[Any, Any]:
            now = {name: values[step] for name, values in batches.items()}
            x, _ = _prepare(tf.gather(images, now["rows"]), tf.zeros((batch, self.classes)), now)
            return step + 1, out.write(step, self.model(x, training=False))

        out = tf.TensorArray(tf.float32, steps, element_shape=(batch, self.classes))
        return tf.while_loop(lambda step, _: step < steps, body, (0, out), parallel_iterations=1)[1].concat()


class _Program:
    """A function that is traced once for each structure and shape of its arguments.

    ``tf.function`` does as much, and warns of retracing: it counts the traces of all trials as one function's.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = tf.function(function, autograph=False)
        self.traces: dict[Any, Any] = {}

    def __call__(self, *arguments: Any) -> Any:
        shapes = [(v.shape, v.dtype) for v in tf.nest.flatten(arguments)]
        key = (*sorted(name for a in arguments if isinstance(a, dict) for name in a), *map(str, shapes))
        if key not in self.traces:
            self.traces[key] = self.function.get_concrete_function(*arguments)
        return self.traces[key](*arguments)


def _tensors(batches: Plan) -> Tensors:
    return {name: tf.constant(values) for name, values in batches.items()}
