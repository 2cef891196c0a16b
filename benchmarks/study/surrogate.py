"""A surrogate that predicts the learning curve of any design of a space from a recorded table.

The mean curve is a ridge regression on all choices plus a random forest on its residuals, fitted to all epochs
together. The noise of a training run, between seeds and from the finite validation set, is multivariate normal over the
epochs with the covariance of the remaining residuals. It is deterministic for a training run (replay, design), in
whatever order its epochs are requested.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras_tuner as kt
import numpy as np
from keras_tuner.engine import hyperparameters as kinds
from sklearn.ensemble import RandomForestRegressor

RIDGE, TREES, LEAF = 10.0, 200, 2
LOG_RATIO = 8  # ratio of a list's largest to smallest value above which its logarithm is used


class Surrogate:
    """Learning curves for a space, learned from a table.

    Args:
        table: csv file with a column per choice and val_acc_1, val_acc_2, ...
        space: Choices of the space.
    """

    def __init__(self, table: Path, space: kt.HyperParameters) -> None:
        rows = [row for row in csv.DictReader(table.open(encoding="utf-8")) if not row.get("failed")]
        self.choices = [choice for choice in space.space if not isinstance(choice, kinds.Fixed)]
        self.epochs = sum(name.startswith("val_acc_") for name in rows[0])
        self.designs = [{c.name: parse(c, row[c.name]) for c in self.choices if row[c.name] != ""} for row in rows]
        self.curves = np.array([[float(row[f"val_acc_{e}"]) for e in range(1, self.epochs + 1)] for row in rows])
        x = np.stack([self._features(values) for values in self.designs])
        self._centre, self._mean = x.mean(0), self.curves.mean(0)
        centred = x - self._centre
        gram = centred.T @ centred + RIDGE * np.eye(x.shape[1])
        self._weights = np.linalg.solve(gram, centred.T @ (self.curves - self._mean))
        self._forest = RandomForestRegressor(TREES, min_samples_leaf=LEAF, random_state=0)
        self._forest.fit(x, self.curves - self._linear(x))
        left = self.curves - self._predict(x)
        self.noise = np.linalg.cholesky(left.T @ left / len(left) + 1e-10 * np.eye(self.epochs))
        self._known: dict[tuple, np.ndarray] = {}

    def mean_curves(self, designs: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Return the noise-free validation accuracies of designs, float (n, epochs)."""
        keys = [tuple(values.get(choice.name) for choice in self.choices) for values in designs]
        if new := {key: values for key, values in zip(keys, designs, strict=True) if key not in self._known}:
            x = np.stack([self._features(values) for values in new.values()])
            self._known |= dict(zip(new, self._predict(x), strict=True))
        return np.stack([self._known[key] for key in keys])

    def true(self, values: Mapping[str, Any]) -> float:
        """Return the noise-free accuracy of a design after the last epoch."""
        return float(self.mean_curves([values])[0, -1])

    def curve(self, values: Mapping[str, Any], *seed: int) -> np.ndarray:
        """Return the accuracies of a training run of a design, float (epochs,)."""
        mean = self.mean_curves([values])[0]
        return np.clip(mean + self.noise @ np.random.default_rng(seed).normal(size=self.epochs), 0.0, 1.0)

    def key(self, values: Mapping[str, Any]) -> tuple[int, ...]:
        """Return the seed of a design's training runs: one integer per choice."""
        probs = [choice.value_to_prob(values[choice.name]) if choice.name in values else 1.0 for choice in self.choices]
        return tuple(round(1e6 * prob) for prob in probs)

    def _linear(self, x: np.ndarray) -> np.ndarray:
        return self._mean + (x - self._centre) @ self._weights

    def _predict(self, x: np.ndarray) -> np.ndarray:
        """Return the mean curves; for single designs the forest's own predict takes ten times as long as its trees."""
        inputs = x.astype(np.float32)
        trees = sum(tree.tree_.predict(inputs)[:, :, 0] for tree in self._forest.estimators_)
        return self._linear(x) + trees / len(self._forest.estimators_)

    def _features(self, values: Mapping[str, Any]) -> np.ndarray:
        return np.concatenate([encode(choice, values.get(choice.name)) for choice in self.choices])


class ScrambledSurrogate(Surrogate):
    """Learning curves that the choices tell nothing about: each design has the mean curve of a random recorded one."""

    def mean_curves(self, designs: Sequence[Mapping[str, Any]]) -> np.ndarray:
        drawn = [zlib.crc32(repr(self.key(values)).encode()) % len(self.designs) for values in designs]
        return super().mean_curves([self.designs[k] for k in drawn])


def encode(choice: Any, value: Any) -> np.ndarray:
    """Encode a value: one number for an ordered list, linear and quadratic for a range, else one-hot; None as zeros."""
    if isinstance(choice, (kinds.Choice, kinds.Boolean)):
        options = list(choice.values)
        if not all(isinstance(option, (int, float)) for option in options):
            return np.array([float(value == option) for option in options])
        numbers = np.array([float(option) for option in options])
        if numbers.min() > 0 and numbers.max() / numbers.min() > LOG_RATIO:
            numbers = np.log(numbers)
        known = 0.0 if value is None else numbers[options.index(value)] - numbers.mean()
        return np.array([known / (numbers.std() or 1.0)])
    scaled = 0.0 if value is None else 2 * choice.value_to_prob(value) - 1
    return np.array([scaled, scaled * scaled])


def parse(choice: Any, text: str) -> Any:
    """Parse a choice's value from a table."""
    if isinstance(choice, (kinds.Choice, kinds.Boolean)):
        return next(option for option in choice.values if str(option) == text)
    return int(text) if isinstance(choice, kinds.Int) else float(text)
