"""The engine for TensorFlow: a loop over the steps inside one graph.

On CPUs the network runs without XLA, which is the faster way there; the augmentation, all gathers and elementwise
arithmetic, is compiled with XLA into one kernel (9 times faster on a CPU). On GPUs XLA compiles the whole step, as
Keras does by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fer_search.augment import Plan, augment
from fer_search.training.batchnorm_stats import measuring
from fer_search.training.engine import RandomSeeds, cut, fill_up, random_states, seed_random_layers
from fer_search.training.tensorflow_optimizer import fuse

Tensors = dict[str, tf.Tensor]
_prepare = tf.function(augment, jit_compile=True, autograph=False)  # one for all trials: it depends on shapes alone


class TensorFlowEngine:
    """See ``fer_search.training.engine.Engine``.

    On several devices each has the images and the variables, augments the whole batch (mixup's partners may be anywhere
    in it) and learns from its share. BN takes the statistics of the whole batch, except in a backbone's layers, which
    are Keras' own and see their device's share; dropout draws other numbers than on one device. XLA does not compile
    the step there, since the devices talk to each other inside it.

    Each trial is traced anew, whatever it shares with others: a graph holds its own model's variables. On CPUs, where
    TensorFlow is used, that is a second or two, and nothing is compiled but the augmentation, which all trials share.

    Args:
        model: compiled.
        loss: of labels and probabilities, one value an image.
        jit: whether XLA compiles the step; None for "on a GPU".
        parts: micro-batches of a step.
    """

    def __init__(self, model: keras.Model, loss: keras.losses.Loss, jit: bool | None = None, parts: int = 1) -> None:
        self.model, self.loss, self.parts = model, loss, parts
        self.classes = model.output.shape[-1]
        self.strategy = tf.distribute.get_strategy()
        self.devices = self.strategy.num_replicas_in_sync
        model.optimizer.build(model.trainable_variables)
        self._step, self._predict_step, self._measure_step = self._take_step, self._predict_share, self._measure_share
        # Keras adds gradients up over devices even where there is one, through a custom gradient that TensorFlow
        # registers for good, and with it the whole graph: 15 MB a trial. And it does so after it has clipped them.
        model.optimizer._all_reduce_sum_gradients = lambda gradients_and_variables: gradients_and_variables
        if self.devices > 1:
            self._step, self._predict_step = self._take_step_on_all, self._predict_step_on_all
            self._measure_step = self._measure_step_on_all
        else:
            fuse(model.optimizer)
            if tf.config.list_physical_devices("GPU") if jit is None else jit:
                self._step = tf.function(self._take_step, jit_compile=True, autograph=False)
        self._train, self._predict = _Program(self._train_steps), _Program(self._predict_steps)
        self._measure = _Program(self._measure_steps)

    def put(self, array: np.ndarray) -> Any:
        if self.devices == 1:
            return tf.constant(array)
        return self.strategy.experimental_distribute_values_from_function(lambda _: tf.constant(array))

    def begin_epoch(self, data: tuple[Any, Any], batches: Plan, random_seeds: RandomSeeds) -> None:
        self.epoch = (*data, self._tensors(batches))
        seed_random_layers(self.model, random_seeds)
        for state in random_states(self.model) if self.devices > 1 else ():  # not the same dropout on every device
            first, *others = self.strategy.experimental_local_results(state.value)
            for k, other in enumerate(others, start=1):
                other.assign(first + tf.constant([k, 0], first.dtype))

    def train(self, start: int, stop: int) -> np.ndarray:
        sums = self._train(*self.epoch, tf.constant(start), tf.constant(stop))
        return sums.numpy().astype(np.float64).sum(axis=0)

    def end_epoch(self) -> None:
        del self.epoch  # the steps write to the model's variables themselves

    def measure(self, images: Any, batches: Plan) -> None:
        self._measure(images, self._tensors(batches))

    def predict(self, images: Any, batches: Plan) -> np.ndarray:
        steps, batch = batches["rows"].shape
        found = self._predict(images, self._tensors(batches)).numpy()
        return found[:, :batch].reshape(steps * batch, self.classes)

    def _tensors(self, batches: Plan) -> Tensors:
        if self.devices > 1:
            batches = fill_up(batches, self.devices * self.parts)
        return {name: tf.constant(values) for name, values in batches.items()}

    def _train_steps(self, images: Any, labels: Any, batches: Tensors, start: Any, stop: Any) -> Any:
        def body(step: Any, sums: Any) -> tuple[Any, Any]:
            more = self._step(images, labels, {name: values[step] for name, values in batches.items()})
            return step + 1, sums.write(step - start, more)

        sums = tf.TensorArray(tf.float32, stop - start, element_shape=(3,))
        return tf.while_loop(lambda step, _: step < stop, body, (start, sums), parallel_iterations=1)[1].stack()

    def _take_step(self, images: Any, labels: Any, now: Tensors) -> Any:
        x, y = _prepare(tf.gather(images, now["rows"]), tf.one_hot(tf.gather(labels, now["rows"]), self.classes), now)
        optimizer, count = self.model.optimizer, tf.reduce_sum(now["weights"])
        optimizer.learning_rate = now["learning_rates"]
        batch = [self._share(values) for values in (x, y, now["weights"], now["loss_weights"])]
        gradients, sums = self._gradients(batch, count) if self.parts == 1 else self._gradients_in_parts(batch, count)
        if self.devices > 1:
            gradients = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        optimizer.apply(gradients, self.model.trainable_variables)
        return tf.concat([sums, [tf.reduce_sum(batch[2])]], 0)

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

        now = (0, [tf.zeros(v.shape) for v in self.model.trainable_variables], tf.zeros(2))
        if self.devices == 1:
            return tf.while_loop(lambda k, *_: k < self.parts, body, now, parallel_iterations=1)[1:]
        for _ in range(self.parts):  # devices cannot talk to each other in a loop inside their step, as BN does
            with tf.control_dependencies(now[1]):
                now = body(*now)
        return now[1:]

    def _take_step_on_all(self, images: Any, labels: Any, now: Tensors) -> Any:
        sums = self.strategy.run(self._take_step, (images, labels, now))
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)

    def _share(self, values: Any) -> Any:
        """Return the part of a batch that this device learns from."""
        if self.devices == 1:
            return values
        size = values.shape[0] // self.devices
        first = tf.distribute.get_replica_context().replica_id_in_sync_group * size
        return values[first : first + size]

    def _measure_steps(self, images: Any, batches: Tensors) -> Any:
        def body(step: Any) -> tuple[Any]:
            with measuring(self.model, step):  # around all devices' threads, which are traced in turns
                self._measure_step(images, {name: values[step] for name, values in batches.items()})
            return (step + 1,)

        steps = batches["rows"].shape[0]
        return tf.while_loop(lambda step: step < steps, body, (tf.constant(0),), parallel_iterations=1)[0]

    def _measure_share(self, images: Any, now: Tensors) -> None:
        self.model(self._images(images, now), training=True)

    def _measure_step_on_all(self, images: Any, now: Tensors) -> None:
        self.strategy.run(self._measure_share, (images, now))

    def _predict_steps(self, images: Any, batches: Tensors) -> Any:
        steps, batch = batches["rows"].shape

        def body(step: Any, out: Any) -> tuple[Any, Any]:
            found = self._predict_step(images, {name: values[step] for name, values in batches.items()})
            return step + 1, out.write(step, tf.ensure_shape(found, (batch, self.classes)))

        out = tf.TensorArray(tf.float32, steps, element_shape=(batch, self.classes))
        return tf.while_loop(lambda step, _: step < steps, body, (0, out), parallel_iterations=1)[1].stack()

    def _predict_share(self, images: Any, now: Tensors) -> Any:
        return self.model(self._images(images, now), training=False)

    def _images(self, images: Any, now: Tensors) -> Any:
        """Return this device's share of a step's images."""
        now = {name: self._share(values) for name, values in now.items()}
        rows = now["rows"]
        return _prepare(tf.gather(images, rows), tf.zeros((rows.shape[0], self.classes)), now)[0]

    def _predict_step_on_all(self, images: Any, now: Tensors) -> Any:
        shares = self.strategy.run(self._predict_share, (images, now))
        return tf.concat(self.strategy.experimental_local_results(shares), axis=0)


@contextmanager
def on_devices(count: int) -> Iterator[None]:
    """See ``fer_search.training.engine.on_devices``."""
    with _strategy(count).scope():
        yield


@cache
def _strategy(count: int) -> tf.distribute.Strategy:
    """Return the one strategy of this process: what devices say to each other under two of them gets mixed up."""
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    return tf.distribute.MirroredStrategy([f"{kind}:{k}" for k in range(count)])


class _Program:
    """A function that is traced once for each structure and shape of its arguments.

    ``tf.function`` does as much, and warns of retracing: it counts the traces of all trials as one function's.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = tf.function(function, autograph=False)
        self.traces: dict[Any, Any] = {}

    def __call__(self, *arguments: Any) -> Any:
        shapes = [(v.shape, v.dtype) for v in tf.nest.flatten(arguments, expand_composites=True)]
        key = (*sorted(name for a in arguments if isinstance(a, dict) for name in a), *map(str, shapes))
        if key not in self.traces:
            self.traces[key] = self.function.get_concrete_function(*arguments)
        return self.traces[key](*arguments)
