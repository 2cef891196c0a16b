"""Training engine for TensorFlow: a loop over the steps inside one graph.

On CPUs the network runs without XLA, which is faster there; only the augmentation (gathers and elementwise arithmetic)
is compiled with XLA, into one kernel (9 times faster on a CPU). On GPUs XLA compiles the whole step, as Keras does by
default.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fer_search.augment import EpochDraws, augment
from fer_search.models import describe_network
from fer_search.training.batchnorm_stats import accumulating_statistics
from fer_search.training.engine import (
    Engine,
    RandomSeeds,
    pad_batches,
    random_states,
    seed_random_layers,
    split_micro_batches,
)
from fer_search.training.tensorflow_optimizer import use_fused_updates
from fer_search.training.tensorflow_programs import Program

Tensors = dict[str, tf.Tensor]
_augment = tf.function(augment, jit_compile=True, autograph=False)  # shared by all trials: depends only on shapes


class TensorFlowEngine(Engine):
    """See ``fer_search.training.engine.Engine``.

    On several devices each holds the images and variables, augments the full batch (mixup partners can be anywhere in
    it) and trains on its shard. BN uses the statistics of the full batch, except inside a backbone, whose layers are
    Keras' own and see only the device's shard; dropout draws other numbers than on one device. The step is not compiled
    with XLA there, because it contains communication between the devices.

    Trials with equal networks share traces; see ``fer_search.training.tensorflow_programs``. Tracing takes a second or
    two on CPUs, where TensorFlow is used, and nothing is compiled except the augmentation, which all trials share.

    Args:
        model: Compiled model.
        loss: Loss of labels and probabilities with reduction "none".
        jit: Whether XLA compiles the step. None means "on a GPU".
        micro_batches: Number of micro-batches per step.
    """

    def __init__(
        self, model: keras.Model, loss: keras.losses.Loss, jit: bool | None = None, micro_batches: int = 1
    ) -> None:
        super().__init__(model, loss, micro_batches)
        self.strategy = tf.distribute.get_strategy()
        self.devices = self.strategy.num_replicas_in_sync
        self._step, self._predict_step, self._measure_step = self._take_step, self._predict_shard, self._measure_shard
        # Keras all-reduces gradients even on one device, through a custom gradient that TensorFlow registers for the
        # life of the process together with the whole graph: 15 MB per trial. It also does so only after clipping.
        model.optimizer._all_reduce_sum_gradients = lambda gradients_and_variables: gradients_and_variables
        if self.devices > 1:
            self._step, self._predict_step = self._take_step_on_all, self._predict_step_on_all
            self._measure_step = self._measure_step_on_all
        else:
            use_fused_updates(model.optimizer)
            if tf.config.list_physical_devices("GPU") if jit is None else jit:
                self._step = tf.function(self._take_step, jit_compile=True, autograph=False)
        # a user's loss may have no JSON form, and a user's network shares nothing
        shareable = self.devices == 1 and describe_network(model) is not None
        options = (json.dumps(loss.get_config()), micro_batches, jit) if shareable else None
        self._train = Program(self._train_steps, "train", model, options)
        self._predict = Program(self._predict_steps, "predict", model, options)
        self._measure = Program(self._measure_steps, "measure", model, options)

    def put(self, array: np.ndarray) -> Any:
        if self.devices == 1:
            return tf.constant(array)
        return self.strategy.experimental_distribute_values_from_function(lambda _: tf.constant(array))

    def begin_epoch(self, data: tuple[Any, Any], batches: EpochDraws, random_seeds: RandomSeeds) -> None:
        self.epoch = (*data, self._tensors(batches))
        seed_random_layers(self.model, random_seeds)
        for state in random_states(self.model) if self.devices > 1 else ():  # different dropout on every device
            first, *others = self.strategy.experimental_local_results(state.value)
            for k, other in enumerate(others, start=1):
                other.assign(first + tf.constant([k, 0], first.dtype))

    def train(self, start: int, stop: int) -> np.ndarray:
        sums = self._train(*self.epoch, tf.constant(start), tf.constant(stop))
        total: np.ndarray = sums.numpy().astype(np.float64).sum(axis=0)
        return total

    def end_epoch(self) -> None:
        del self.epoch  # the steps update the model's variables in place

    def measure_batchnorm(self, images: Any, batches: EpochDraws) -> None:
        self._measure(images, self._tensors(batches))

    def predict(self, images: Any, batches: EpochDraws) -> np.ndarray:
        steps, batch = batches["rows"].shape
        probabilities = self._predict(images, self._tensors(batches)).numpy()
        flat: np.ndarray = probabilities[:, :batch].reshape(steps * batch, self.classes)
        return flat

    def _tensors(self, batches: EpochDraws) -> Tensors:
        if self.devices > 1:
            batches = pad_batches(batches, self.devices * self.micro_batches)
        return {name: tf.constant(values) for name, values in batches.items()}

    def _train_steps(self, images: Any, labels: Any, batches: Tensors, start: Any, stop: Any) -> Any:
        def body(step: Any, sums: Any) -> tuple[Any, Any]:
            step_sums = self._step(images, labels, _select_step(batches, step))
            return step + 1, sums.write(step - start, step_sums)

        sums = tf.TensorArray(tf.float32, stop - start, element_shape=(3,))
        return tf.while_loop(lambda step, _: step < stop, body, (start, sums), parallel_iterations=1)[1].stack()

    def _take_step(self, images: Any, labels: Any, draws: Tensors) -> Any:
        rows = draws["rows"]
        x, y = _augment(tf.gather(images, rows), tf.one_hot(tf.gather(labels, rows), self.classes), draws)
        optimizer, count = self.model.optimizer, tf.reduce_sum(draws["weights"])
        optimizer.learning_rate = draws["learning_rates"]
        batch = [self._shard(values) for values in (x, y, draws["weights"], draws["loss_weights"])]
        compute = self._gradients if self.micro_batches == 1 else self._accumulated_gradients
        gradients, sums = compute(batch, count)
        if self.devices > 1:
            gradients = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        optimizer.apply(gradients, self.model.trainable_variables)
        return tf.concat([sums, [tf.reduce_sum(batch[2])]], 0)

    def _gradients(self, batch: Any, count: Any) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Return gradients, and the sums of weighted loss and correct predictions.

        As in Keras' ``fit``, regularisers and ``add_loss`` of a user's layers count in the gradients; the loss that is
        reported leaves them out, so that it can be compared with the validation loss.
        """
        x, y, weights, loss_weights = batch
        with tf.GradientTape() as tape:
            probabilities = self.model(x, training=True)
            loss = tf.reduce_sum(loss_weights * self.loss(y, probabilities))
            mean = loss / count
            if own := self.model.losses:  # summed over micro-batches and devices
                mean += tf.add_n([tf.cast(one, tf.float32) for one in own]) / (self.micro_batches * self.devices)
        correct = tf.cast(tf.argmax(probabilities, -1) == tf.argmax(y, -1), tf.float32)
        gradients = tape.gradient(mean, self.model.trainable_variables)
        return gradients, tf.stack([loss, tf.reduce_sum(weights * correct)])

    def _accumulated_gradients(self, batch: Any, count: Any) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Like ``_gradients``, in a loop over micro-batches, with the activations of only one in memory."""
        parts = split_micro_batches(batch, self.micro_batches)

        def body(k: Any, gradients: Any, sums: Any) -> tuple[Any, Any, Any]:
            new_gradients, new_sums = self._gradients([array[k] for array in parts], count)
            return k + 1, [a + b for a, b in zip(gradients, new_gradients, strict=True)], sums + new_sums

        carry = (0, [tf.zeros(v.shape) for v in self.model.trainable_variables], tf.zeros(2))
        if self.devices == 1:
            _, *summed = tf.while_loop(lambda k, *_: k < self.micro_batches, body, carry, parallel_iterations=1)
            return summed[0], summed[1]
        for _ in range(self.micro_batches):  # unrolled: devices cannot communicate in a loop inside their step (BN)
            with tf.control_dependencies(carry[1]):
                carry = body(*carry)
        return carry[1:]

    def _take_step_on_all(self, images: Any, labels: Any, draws: Tensors) -> Any:
        sums = self.strategy.run(self._take_step, (images, labels, draws))
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)

    def _shard(self, values: Any) -> Any:
        """Return this device's shard of a batch."""
        if self.devices == 1:
            return values
        size = values.shape[0] // self.devices
        first = tf.distribute.get_replica_context().replica_id_in_sync_group * size
        return values[first : first + size]

    def _measure_steps(self, images: Any, batches: Tensors) -> Any:
        def body(step: Any) -> tuple[Any]:
            with accumulating_statistics(self.model, step):  # around the threads of all devices, traced alternately
                self._measure_step(images, _select_step(batches, step))
            return (step + 1,)

        steps = batches["rows"].shape[0]
        return tf.while_loop(lambda step: step < steps, body, (tf.constant(0),), parallel_iterations=1)[0]

    def _measure_shard(self, images: Any, draws: Tensors) -> None:
        self.model(self._augmented_shard(images, draws), training=True)

    def _measure_step_on_all(self, images: Any, draws: Tensors) -> None:
        self.strategy.run(self._measure_shard, (images, draws))

    def _predict_steps(self, images: Any, batches: Tensors) -> Any:
        steps, batch = batches["rows"].shape

        def body(step: Any, out: Any) -> tuple[Any, Any]:
            probabilities = self._predict_step(images, _select_step(batches, step))
            return step + 1, out.write(step, tf.ensure_shape(probabilities, (batch, self.classes)))

        out = tf.TensorArray(tf.float32, steps, element_shape=(batch, self.classes))
        return tf.while_loop(lambda step, _: step < steps, body, (0, out), parallel_iterations=1)[1].stack()

    def _predict_shard(self, images: Any, draws: Tensors) -> Any:
        return self.model(self._augmented_shard(images, draws), training=False)

    def _augmented_shard(self, images: Any, draws: Tensors) -> Any:
        """Return this device's shard of a step's augmented images."""
        draws = {name: values if name == "shrink" else self._shard(values) for name, values in draws.items()}
        rows = draws["rows"]
        return _augment(tf.gather(images, rows), tf.zeros((rows.shape[0], self.classes)), draws)[0]

    def _predict_step_on_all(self, images: Any, draws: Tensors) -> Any:
        shards = self.strategy.run(self._predict_shard, (images, draws))
        return tf.concat(self.strategy.experimental_local_results(shards), axis=0)


def _select_step(batches: Tensors, step: Any) -> Tensors:
    return {name: values[step] for name, values in batches.items()}


@contextmanager
def device_scope(count: int) -> Iterator[None]:
    """See ``fer_search.training.engines.device_scope``."""
    with _strategy(count).scope():
        yield


@cache
def _strategy(count: int) -> tf.distribute.Strategy:
    """Return the process's one strategy: collectives of two strategies interfere with each other."""
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    return tf.distribute.MirroredStrategy([f"{kind}:{k}" for k in range(count)])
