"""The engine for JAX: a loop over the steps inside one compiled program, whose state never leaves the device."""

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

from fer_search.augment import Plan, augment
from fer_search.training.batchnorm_stats import measuring
from fer_search.training.engine import RandomSeeds, cut, fill_up, seed_random_layers
from fer_search.training.traced_scalars import Asked, Scalars

State = tuple[list[Any], list[Any], list[Any]]  # trainable, non-trainable, optimiser's

# So that jnp's functions, many of them jitted themselves, take it for the tensor that it is.
jax.tree_util.register_pytree_node(Asked, lambda a: ((a.tensor,), a.number), lambda number, of: Asked(*of, number))


class JaxEngine:
    """See ``fer_search.training.engine.Engine``.

    On several devices the arrays of the images and the variables are on each of them, and a batch is split between
    them; XLA puts in the communication. The program says what it says on one device: statistics of BN, mixup's
    partners and dropout are those of the whole batch, and results differ in rounding alone.

    Args:
        model: compiled.
        loss: of labels and probabilities, one value an image.
        loop: whether the loop over the steps is part of the program; None for "not on a CPU", where XLA's convolutions
            inside a loop use one core and a slow path.
        parts: micro-batches of a step.
    """

    def __init__(self, model: keras.Model, loss: keras.losses.Loss, loop: bool | None = None, parts: int = 1) -> None:
        self.model, self.loss, self.parts, self.scalars = model, loss, parts, Scalars(model, loss)
        self.classes = model.output.shape[-1]
        model.optimizer.build(model.trainable_variables)
        # The place of the learning rate among the optimiser's variables: every step sets it.
        self.rate = next(k for k, v in enumerate(model.optimizer.variables) if v is model.optimizer.learning_rate)
        self.state: State | None = None
        self.loop = jax.default_backend() != "cpu" if loop is None else loop
        distribution = keras.distribution.distribution()
        self.mesh = None if distribution is None else distribution.device_mesh.backend_mesh
        everywhere = self._split()
        self._train = jax.jit(
            self._train_steps if self.loop else self._train_step, donate_argnums=0, out_shardings=everywhere
        )
        self._measure = jax.jit(self._measure_steps if self.loop else self._measure_step, out_shardings=everywhere)
        self._predict = jax.jit(self._predict_steps if self.loop else self._predict_step, out_shardings=everywhere)

    def put(self, array: np.ndarray) -> jax.Array:
        return jax.device_put(array, self._split())

    def begin_epoch(self, data: tuple[Any, Any], batches: Plan, random_seeds: RandomSeeds) -> None:
        self.epoch = (*data, self._put_batches(batches), self.put(self.scalars.values()))
        seed_random_layers(self.model, random_seeds)
        # Copies, since the compiled program reuses the memory of the state that it is given.
        self.state = _copies(tuple([v.value for v in group] for group in self._variables()))

    def train(self, start: int, stop: int) -> np.ndarray:
        carry = (self.state, self.put(np.zeros((len(self.epoch[2]["rows"]), 3), np.float32)))
        if self.loop:
            carry = self._train(carry, *self.epoch, start, stop)
        else:
            for step in range(start, stop):
                carry = self._train(carry, *self.epoch, step)
        self.state, sums = carry
        return np.asarray(sums, np.float64).sum(axis=0)

    def end_epoch(self) -> None:
        assert self.state is not None
        for group, values in zip(self._variables(), self.state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        self.state = None
        del self.epoch

    def measure(self, images: Any, batches: Plan) -> None:
        trainable, others, _ = ([v.value for v in group] for group in self._variables())
        steps = len(batches["rows"])
        placed = self._put_batches(batches)
        for step in [steps] if self.loop else range(steps):
            others = self._measure(trainable, others, images, placed, step)
        for variable, value in zip(self.model.non_trainable_variables, others, strict=True):
            variable.assign(value)

    def predict(self, images: Any, batches: Plan) -> np.ndarray:
        trainable, others, _ = ([v.value for v in group] for group in self._variables())
        steps, batch = batches["rows"].shape
        arguments = (trainable, others, images, self._put_batches(batches))
        if self.loop:
            found = jax.device_get(self._predict(*arguments))
        else:  # all steps are under way before the first result is fetched
            found = np.stack(jax.device_get([self._predict(*arguments, step) for step in range(steps)]))
        return found[:, :batch].reshape(steps * batch, self.classes)

    def _variables(self) -> tuple[list[Any], list[Any], list[Any]]:
        return self.model.trainable_variables, self.model.non_trainable_variables, self.model.optimizer.variables

    def _split(self, *axes: str | None) -> NamedSharding | None:
        """Return how an array lies on several devices: split along the axis called "batch", else whole on each."""
        return None if self.mesh is None else NamedSharding(self.mesh, PartitionSpec(*axes))

    def _put_batches(self, batches: Plan) -> dict[str, jax.Array]:
        if self.mesh is not None:
            batches = fill_up(batches, self.mesh.size * self.parts)
        split = self._split(None, "batch")
        return {n: jax.device_put(v, split) if v.ndim > 1 else self.put(v) for n, v in batches.items()}

    def _augment(self, images: Any, labels: Any, now: dict[str, Any]) -> tuple[Any, Any]:
        """Return a step's images and labels, each device's share of them on it."""
        x, y = augment(images, labels, now)
        return self._shared(x, "batch"), self._shared(y, "batch")

    def _shared(self, array: Any, *axes: str | None) -> Any:
        return array if self.mesh is None else jax.lax.with_sharding_constraint(array, self._split(*axes))

    def _train_steps(
        self, carry: Any, images: Any, labels: Any, batches: Any, scalars: Any, start: Any, stop: Any
    ) -> Any:
        def body(step: Any, carry: tuple[State, Any]) -> tuple[State, Any]:
            return self._train_step(carry, images, labels, batches, scalars, step)

        return jax.lax.fori_loop(start, stop, body, carry)

    def _train_step(self, carry: Any, images: Any, labels: Any, batches: Any, scalars: Any, step: Any) -> Any:
        state, sums = carry
        now = {name: values[step] for name, values in batches.items()}
        with self.scalars.given(scalars):
            state, more = self._take_step(state, images[now["rows"]], labels[now["rows"]], now)
        return state, sums.at[step].set(more)

    def _take_step(self, state: State, images: Any, labels: Any, now: dict[str, Any]) -> tuple[State, Any]:
        trainable, others, optimizer = state
        optimizer = [*optimizer[: self.rate], now["learning_rates"], *optimizer[self.rate + 1 :]]
        x, y = self._augment(images, jax.nn.one_hot(labels, self.classes), now)
        count, batch = jnp.sum(now["weights"]), (x, y, now["weights"], now["loss_weights"])
        if self.parts == 1:
            gradients, others, sums = self._gradients(trainable, others, batch, count)
        else:
            gradients, others, sums = self._gradients_in_parts(trainable, others, batch, count)
        trainable, optimizer = self.model.optimizer.stateless_apply(optimizer, gradients, trainable)
        return (trainable, others, optimizer), jnp.append(sums, count)

    def _gradients(self, trainable: list[Any], others: list[Any], batch: Any, count: Any) -> tuple[Any, Any, Any]:
        """Return the gradients, the other variables, and the sums of the weighted loss and of the correct ones."""
        x, y, weights, loss_weights = batch

        @partial(jax.grad, has_aux=True)
        def objective(trainable: list[Any]) -> Any:
            probabilities, updated = self.model.stateless_call(trainable, others, x, training=True)
            loss = jnp.sum(loss_weights * self.loss(y, probabilities))
            return loss / count, (loss, probabilities, updated)

        gradients, (loss, probabilities, others) = objective(trainable)
        correct = jnp.sum(weights * (jnp.argmax(probabilities, -1) == jnp.argmax(y, -1)))
        return gradients, others, jnp.stack([loss, correct])

    def _gradients_in_parts(self, trainable: list[Any], others: list[Any], batch: Any, count: Any) -> Any:
        """Do the same in micro-batches, in a loop, so that the activations of one alone are in memory."""

        def body(carry: Any, part: Any) -> tuple[Any, None]:
            gradients, others, sums = carry
            more, others, own = self._gradients(trainable, others, part, count)
            return (jax.tree.map(jnp.add, gradients, more), others, sums + own), None

        start = (jax.tree.map(jnp.zeros_like, trainable), others, jnp.zeros(2))
        parts = [self._shared(cut(array, self.parts), None, "batch") for array in batch]
        return jax.lax.scan(body, start, parts)[0]

    def _measure_steps(self, trainable: list[Any], others: list[Any], images: Any, batches: Any, steps: Any) -> Any:
        def body(step: Any, others: list[Any]) -> list[Any]:
            return self._measure_step(trainable, others, images, batches, step)

        return jax.lax.fori_loop(0, steps, body, others)

    def _measure_step(self, trainable: list[Any], others: list[Any], images: Any, batches: Any, step: Any) -> Any:
        x = self._images(images, {name: values[step] for name, values in batches.items()})
        with measuring(self.model, step):
            return self.model.stateless_call(trainable, others, x, training=True)[1]

    def _predict_steps(self, trainable: list[Any], others: list[Any], images: Any, batches: Any) -> Any:
        steps = jnp.arange(len(batches["rows"]))
        return jax.lax.map(lambda step: self._predict_step(trainable, others, images, batches, step), steps)

    def _predict_step(self, trainable: list[Any], others: list[Any], images: Any, batches: Any, step: Any) -> Any:
        x = self._images(images, {name: values[step] for name, values in batches.items()})
        return self.model.stateless_call(trainable, others, x, training=False)[0]

    def _images(self, images: Any, now: dict[str, Any]) -> Any:
        rows = images[now["rows"]]
        return self._augment(rows, jnp.zeros((len(rows), self.classes)), now)[0]


@jax.jit
def _copies(state: State) -> State:
    """Copy all arrays at once: one dispatch instead of hundreds."""
    return jax.tree.map(jnp.copy, state)


@contextmanager
def on_devices(count: int) -> Iterator[None]:
    """See ``fer_search.training.engine.on_devices``."""
    before = keras.distribution.distribution()
    devices = keras.distribution.list_devices()[:count]
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)
