"""The engine for JAX: a loop over the steps inside one compiled program, whose state never leaves the device."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from fer_search.augment import Plan, augment
from fer_search.training.engine import RandomSeeds, cut, seed_random_layers

State = tuple[list[Any], list[Any], list[Any]]  # trainable, non-trainable, optimiser's


class JaxEngine:
    """See ``fer_search.training.engine.Engine``.

    Args:
        model: compiled.
        loss: of labels and probabilities, one value an image.
        loop: whether the loop over the steps is part of the program; None for "not on a CPU", where XLA's convolutions
            inside a loop use one core and a slow path.
        parts: micro-batches of a step.
    """

    def __init__(self, model: keras.Model, loss: keras.losses.Loss, loop: bool | None = None, parts: int = 1) -> None:
        self.model, self.loss, self.parts = model, loss, parts
        self.classes = model.output.shape[-1]
        model.optimizer.build(model.trainable_variables)
        # The place of the learning rate among the optimiser's variables: every step sets it.
        self.rate = next(k for k, v in enumerate(model.optimizer.variables) if v is model.optimizer.learning_rate)
        self.state: State | None = None
        self.loop = jax.default_backend() != "cpu" if loop is None else loop
        self._train = jax.jit(self._train_steps if self.loop else self._train_step, donate_argnums=0)
        self._predict = jax.jit(self._predict_step)

    def put(self, array: np.ndarray) -> jax.Array:
        return jax.device_put(array)

    def begin_epoch(self, data: tuple[Any, Any], batches: Plan, random_seeds: RandomSeeds) -> None:
        self.epoch = (*data, jax.device_put(batches))
        seed_random_layers(self.model, random_seeds)
        # Copies, since the compiled program reuses the memory of the state that it is given.
        self.state = jax.tree.map(jnp.copy, tuple([v.value for v in group] for group in self._variables()))

    def train(self, start: int, stop: int) -> np.ndarray:
        carry = (self.state, jnp.zeros((len(self.epoch[-1]["rows"]), 3)))
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

    def predict(self, images: Any, batches: Plan) -> np.ndarray:
        trainable, others, _ = ([v.value for v in group] for group in self._variables())
        steps, batches = range(len(batches["rows"])), jax.device_put(batches)
        # All steps are under way before the first result is fetched.
        return np.concatenate(
            jax.device_get([self._predict(trainable, others, images, batches, step) for step in steps])
        )

    def _variables(self) -> tuple[list[Any], list[Any], list[Any]]:
        return self.model.trainable_variables, self.model.non_trainable_variables, self.model.optimizer.variables

    def _train_steps(self, carry: Any, images: Any, labels: Any, batches: Any, start: Any, stop: Any) -> Any:
        def body(step: Any, carry: tuple[State, Any]) -> tuple[State, Any]:
            return self._train_step(carry, images, labels, batches, step)

        return jax.lax.fori_loop(start, stop, body, carry)

    def _train_step(self, carry: tuple[State, Any], images: Any, labels: Any, batches: Any, step: Any) -> Any:
        state, sums = carry
        now = {name: values[step] for name, values in batches.items()}
        state, more = self._take_step(state, images[now["rows"]], labels[now["rows"]], now)
        return state, sums.at[step].set(more)

    def _take_step(self, state: State, images: Any, labels: Any, now: dict[str, Any]) -> tuple[State, Any]:
        trainable, others, optimizer = state
        optimizer = [*optimizer[: self.rate], now["learning_rates"], *optimizer[self.rate + 1 :]]
        x, y = augment(images, jax.nn.one_hot(labels, self.classes), now)
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
        return jax.lax.scan(body, start, [cut(array, self.parts) for array in batch])[0]

    def _predict_step(self, trainable: list[Any], others: list[Any], images: Any, batches: Any, step: Any) -> Any:
        now = {name: values[step] for name, values in batches.items()}
        rows = images[now["rows"]]
        x, _ = augment(rows, jnp.zeros((len(rows), self.classes)), now)
        return self.model.stateless_call(trainable, others, x, training=False)[0]
