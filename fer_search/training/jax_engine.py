"""Training engine for JAX: a loop over the steps inside one compiled program, whose state never leaves the device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from fer_search.augment import EpochDraws, augment
from fer_search.training.batchnorm_stats import accumulating_statistics
from fer_search.training.engine import (
    Engine,
    RandomSeeds,
    is_per_image,
    pad_batches,
    seed_random_layers,
    split_micro_batches,
)
from fer_search.training.traced_scalars import ConcreteTensor, Scalars

State = tuple[list[Any], list[Any], list[Any]]  # trainable, non-trainable and optimiser variables

# Lets jnp's functions, many of which are jitted themselves, treat it as the tensor that it holds.
jax.tree_util.register_pytree_node(
    ConcreteTensor,
    lambda value: ((value.tensor,), value.number),
    lambda number, tensors: ConcreteTensor(*tensors, number),
)


class JaxEngine(Engine):
    """See ``fer_search.training.engine.Engine``.

    On several devices, images and variables are replicated and each batch is sharded; XLA inserts the communication.
    The program computes the same as on one device: BN statistics, mixup partners and dropout are those of the full
    batch, and results differ only by rounding.

    Args:
        model: Compiled model.
        loss: Loss of labels and probabilities with reduction "none".
        loop: Whether the loop over the steps is part of the program. None means "except on a CPU", where XLA's
            convolutions inside a loop use one core and a slow path.
        micro_batches: Number of micro-batches per step.
    """

    def __init__(
        self, model: keras.Model, loss: keras.losses.Loss, loop: bool | None = None, micro_batches: int = 1
    ) -> None:
        super().__init__(model, loss, micro_batches)
        self.scalars = Scalars(model, loss)
        # Position of the learning rate among the optimiser's variables: every step sets it.
        self.rate_index = next(k for k, v in enumerate(model.optimizer.variables) if v is model.optimizer.learning_rate)
        self.state: State | None = None
        self.loop = jax.default_backend() != "cpu" if loop is None else loop
        distribution = keras.distribution.distribution()
        self.mesh = None if distribution is None else distribution.device_mesh.backend_mesh
        replicated = self._sharding()
        self._train = jax.jit(
            self._train_steps if self.loop else self._train_step, donate_argnums=0, out_shardings=replicated
        )
        self._measure = jax.jit(self._measure_steps if self.loop else self._measure_step, out_shardings=replicated)
        self._predict = jax.jit(self._predict_steps if self.loop else self._predict_step, out_shardings=replicated)

    def put(self, array: np.ndarray) -> jax.Array:
        placed: jax.Array = jax.device_put(array, self._sharding())
        return placed

    def begin_epoch(self, data: tuple[Any, Any], batches: EpochDraws, random_seeds: RandomSeeds) -> None:
        self.epoch = (*data, self._put_batches(batches), self.put(self.scalars.values()))
        seed_random_layers(self.model, random_seeds)
        # Copies, since the compiled program donates the buffers of its input state.
        self.state = _copy_state(tuple([v.value for v in group] for group in self._variables()))

    def train(self, start: int, stop: int) -> np.ndarray:
        carry = (self.state, self.put(np.zeros((len(self.epoch[2]["rows"]), 3), np.float32)))
        if self.loop:
            carry = self._train(carry, *self.epoch, start, stop)
        else:
            for step in range(start, stop):
                carry = self._train(carry, *self.epoch, step)
        self.state, sums = carry
        total: np.ndarray = np.asarray(sums, np.float64).sum(axis=0)
        return total

    def end_epoch(self) -> None:
        assert self.state is not None
        for group, values in zip(self._variables(), self.state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        self.state = None
        del self.epoch

    def measure_batchnorm(self, images: Any, batches: EpochDraws) -> None:
        trainable, others, _ = ([v.value for v in group] for group in self._variables())
        steps = len(batches["rows"])
        placed = self._put_batches(batches)
        for step in [steps] if self.loop else range(steps):
            others = self._measure(trainable, others, images, placed, step)
        for variable, value in zip(self.model.non_trainable_variables, others, strict=True):
            variable.assign(value)

    def predict(self, images: Any, batches: EpochDraws) -> np.ndarray:
        trainable, others, _ = ([v.value for v in group] for group in self._variables())
        steps, batch = batches["rows"].shape
        arguments = (trainable, others, images, self._put_batches(batches))
        if self.loop:
            probabilities = jax.device_get(self._predict(*arguments))
        else:  # all steps are dispatched before the first result is fetched
            probabilities = np.stack(jax.device_get([self._predict(*arguments, step) for step in range(steps)]))
        flat: np.ndarray = probabilities[:, :batch].reshape(steps * batch, self.classes)
        return flat

    def _variables(self) -> tuple[list[Any], list[Any], list[Any]]:
        return self.model.trainable_variables, self.model.non_trainable_variables, self.model.optimizer.variables

    def _sharding(self, *axes: str | None) -> NamedSharding | None:
        """Return the sharding of an array: split along the axis named "batch", otherwise replicated."""
        return None if self.mesh is None else NamedSharding(self.mesh, PartitionSpec(*axes))

    def _put_batches(self, batches: EpochDraws) -> dict[str, jax.Array]:
        if self.mesh is not None:
            batches = pad_batches(batches, self.mesh.size * self.micro_batches)
        sharding = self._sharding(None, "batch")
        return {n: jax.device_put(v, sharding) if is_per_image(n, v) else self.put(v) for n, v in batches.items()}

    def _augment(self, images: Any, labels: Any, draws: dict[str, Any]) -> tuple[Any, Any]:
        """Return a step's images and labels, sharded over the devices."""
        x, y = augment(images, labels, draws)
        return self._constrain(x, "batch"), self._constrain(y, "batch")

    def _constrain(self, array: Any, *axes: str | None) -> Any:
        return array if self.mesh is None else jax.lax.with_sharding_constraint(array, self._sharding(*axes))

    def _train_steps(
        self, carry: Any, images: Any, labels: Any, batches: Any, scalars: Any, start: Any, stop: Any
    ) -> Any:
        def body(step: Any, carry: tuple[State, Any]) -> tuple[State, Any]:
            return self._train_step(carry, images, labels, batches, scalars, step)

        return jax.lax.fori_loop(start, stop, body, carry)

    def _train_step(
        self, carry: Any, images: Any, labels: Any, batches: Any, scalars: Any, step: Any
    ) -> tuple[State, Any]:
        state, sums = carry
        draws = _select_step(batches, step)
        with self.scalars.substituted(scalars):
            state, step_sums = self._take_step(state, images[draws["rows"]], labels[draws["rows"]], draws)
        return state, sums.at[step].set(step_sums)

    def _take_step(self, state: State, images: Any, labels: Any, draws: dict[str, Any]) -> tuple[State, Any]:
        trainable, others, optimizer = state
        optimizer = [*optimizer[: self.rate_index], draws["learning_rates"], *optimizer[self.rate_index + 1 :]]
        x, y = self._augment(images, jax.nn.one_hot(labels, self.classes), draws)
        count, batch = jnp.sum(draws["weights"]), (x, y, draws["weights"], draws["loss_weights"])
        if self.micro_batches == 1:
            gradients, others, sums = self._gradients(trainable, others, batch, count)
        else:
            gradients, others, sums = self._accumulated_gradients(trainable, others, batch, count)
        trainable, optimizer = self.model.optimizer.stateless_apply(optimizer, gradients, trainable)
        return (trainable, others, optimizer), jnp.append(sums, count)

    def _gradients(self, trainable: list[Any], others: list[Any], batch: Any, count: Any) -> tuple[Any, Any, Any]:
        """Return gradients, updated non-trainable variables, and the sums of weighted loss and correct predictions.

        Losses of a user's layers are treated as in ``TensorFlowEngine._gradients``.
        """
        x, y, weights, loss_weights = batch

        @partial(jax.grad, has_aux=True)
        def objective(trainable: list[Any]) -> Any:
            called = self.model.stateless_call(trainable, others, x, training=True, return_losses=True)
            probabilities, updated, own = called
            loss = jnp.sum(loss_weights * self.loss(y, probabilities))
            return loss / count + sum(own) / self.micro_batches, (loss, probabilities, updated)

        gradients, (loss, probabilities, others) = objective(trainable)
        correct = jnp.sum(weights * (jnp.argmax(probabilities, -1) == jnp.argmax(y, -1)))
        return gradients, others, jnp.stack([loss, correct])

    def _accumulated_gradients(self, trainable: list[Any], others: list[Any], batch: Any, count: Any) -> Any:
        """Like ``_gradients``, in a loop over micro-batches, with the activations of only one in memory."""

        def body(carry: Any, micro_batch: Any) -> tuple[Any, None]:
            gradients, others, sums = carry
            new_gradients, others, new_sums = self._gradients(trainable, others, micro_batch, count)
            return (jax.tree.map(jnp.add, gradients, new_gradients), others, sums + new_sums), None

        start = (jax.tree.map(jnp.zeros_like, trainable), others, jnp.zeros(2))
        parts = [self._constrain(array, None, "batch") for array in split_micro_batches(batch, self.micro_batches)]
        return jax.lax.scan(body, start, parts)[0]

    def _measure_steps(self, trainable: list[Any], others: list[Any], images: Any, batches: Any, steps: Any) -> Any:
        def body(step: Any, others: list[Any]) -> list[Any]:
            return self._measure_step(trainable, others, images, batches, step)

        return jax.lax.fori_loop(0, steps, body, others)

    def _measure_step(self, trainable: list[Any], others: list[Any], images: Any, batches: Any, step: Any) -> list[Any]:
        x = self._augmented_images(images, _select_step(batches, step))
        with accumulating_statistics(self.model, step):
            measured: list[Any] = self.model.stateless_call(trainable, others, x, training=True)[1]
        return measured

    def _predict_steps(self, trainable: list[Any], others: list[Any], images: Any, batches: Any) -> Any:
        steps = jnp.arange(len(batches["rows"]))
        return jax.lax.map(lambda step: self._predict_step(trainable, others, images, batches, step), steps)

    def _predict_step(self, trainable: list[Any], others: list[Any], images: Any, batches: Any, step: Any) -> Any:
        x = self._augmented_images(images, _select_step(batches, step))
        return self.model.stateless_call(trainable, others, x, training=False)[0]

    def _augmented_images(self, images: Any, draws: dict[str, Any]) -> Any:
        selected = images[draws["rows"]]
        return self._augment(selected, jnp.zeros((len(selected), self.classes)), draws)[0]


def _select_step(batches: dict[str, Any], step: Any) -> dict[str, Any]:
    return {name: values[step] for name, values in batches.items()}


@jax.jit
def _copy_state(state: State) -> State:
    """Copy all arrays in one dispatch instead of hundreds."""
    copied: State = jax.tree.map(jnp.copy, state)
    return copied


@contextmanager
def device_scope(count: int) -> Iterator[None]:
    """See ``fer_search.training.engines.device_scope``."""
    before = keras.distribution.distribution()
    devices = keras.distribution.list_devices()[:count]
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)
