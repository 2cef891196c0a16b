"""The engine for JAX: a loop over the steps inside one compiled program, whose state never leaves the device."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from fer_search.augment import Plan, augment
from fer_search.training.engine import seed_random_layers

State = tuple[list[Any], list[Any], list[Any]]  # trainable, non-trainable, optimiser's


class JaxEngine:
    """See ``fer_search.training.engine.Engine``."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.loss = keras.losses.CategoricalCrossentropy(reduction="none")
        model.optimizer.build(model.trainable_variables)
        self.state: State | None = None
        self._train = jax.jit(self._train_steps, donate_argnums=0)
        self._train_one = jax.jit(self._train_step, donate_argnums=0)
        self._predict = jax.jit(self._predict_step)

    def put(self, array: np.ndarray) -> jax.Array:
        return jax.device_put(array)

    def begin_epoch(self, learning_rate: float, dropout_seeds: np.random.Generator) -> None:
        self.model.optimizer.learning_rate = learning_rate
        seed_random_layers(self.model, dropout_seeds)
        # Copies, since the compiled program reuses the memory of the state that it is given.
        self.state = jax.tree.map(jnp.copy, tuple([v.value for v in group] for group in self._variables()))

    def train(self, data: tuple[Any, Any], batches: Plan, start: int, stop: int) -> np.ndarray:
        if jax.default_backend() != "cpu":
            self.state, sums = self._train(self.state, *data, batches, start, stop)
            return np.asarray(sums, np.float64)
        sums = jnp.zeros(3)
        for step in range(start, stop):  # XLA's convolutions inside a loop use one core and a slow path on CPUs
            self.state, sums = self._train_one((self.state, sums), *data, batches, step)
        return np.asarray(sums, np.float64)

    def end_epoch(self) -> None:
        assert self.state is not None
        for group, values in zip(self._variables(), self.state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        self.state = None

    def predict(self, images: Any, batches: Plan) -> np.ndarray:
        trainable, others, _ = ([v.value for v in group] for group in self._variables())
        steps = range(len(batches["rows"]))
        return np.concatenate([self._predict(trainable, others, images, batches, step) for step in steps])

    def _variables(self) -> tuple[list[Any], list[Any], list[Any]]:
        return self.model.trainable_variables, self.model.non_trainable_variables, self.model.optimizer.variables

    def _train_steps(self, state: State, images: Any, labels: Any, batches: Any, start: Any, stop: Any) -> Any:
        def body(step: Any, carry: tuple[State, Any]) -> tuple[State, Any]:
            return self._train_step(carry, images, labels, batches, step)

        return jax.lax.fori_loop(start, stop, body, (state, jnp.zeros(3)))

    def _train_step(self, carry: tuple[State, Any], images: Any, labels: Any, batches: Any, step: Any) -> Any:
        state, sums = carry
        now = {name: values[step] for name, values in batches.items()}
        state, more = self._step(state, images[now["rows"]], labels[now["rows"]], now)
        return state, sums + more

    def _step(self, state: State, images: Any, labels: Any, now: dict[str, Any]) -> tuple[State, Any]:
        trainable, others, optimizer = state
        y = jax.nn.one_hot(labels, self.model.output.shape[-1])
        x, y = augment(images, y, now)
        weights = now["weights"]

        @partial(jax.value_and_grad, has_aux=True)
        def objective(trainable: list[Any]) -> Any:
            probabilities, updated = self.model.stateless_call(trainable, others, x, training=True)
            losses = self.loss(y, probabilities)
            return jnp.sum(weights * losses) / jnp.sum(weights), (probabilities, losses, updated)

        (_, (probabilities, losses, others)), gradients = objective(trainable)
        trainable, optimizer = self.model.optimizer.stateless_apply(optimizer, gradients, trainable)
        correct = jnp.argmax(probabilities, -1) == jnp.argmax(y, -1)
        return (trainable, others, optimizer), jnp.stack([jnp.sum(weights * v) for v in (losses, correct, 1.0)])

    def _predict_step(self, trainable: list[Any], others: list[Any], images: Any, batches: Any, step: Any) -> Any:
        now = {name: values[step] for name, values in batches.items()}
        rows = images[now["rows"]]
        x, _ = augment(rows, jnp.zeros((len(rows), 1)), now)
        return self.model.stateless_call(trainable, others, x, training=False)[0]
