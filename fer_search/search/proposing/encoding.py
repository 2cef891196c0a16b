"""Designs of a space as numeric vectors, for models of their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras_tuner import HyperParameters
from keras_tuner.engine import hyperparameters as kinds

STEPS = 6  # neighbours along a continuous range


class Encoding:
    """Encodes designs of a space as vectors and decodes them.

    A design is a row with one number from 0 to 1 per choice that is not fixed: Keras Tuner's cumulative probability,
    the middle of its interval for a value of a list. An inactive choice has its default.

    Args:
        space: Keras Tuner's list of hyperparameters.
    """

    def __init__(self, space: Sequence[Any]) -> None:
        self.space = list(space)
        self.free = [choice for choice in self.space if not isinstance(choice, kinds.Fixed)]
        self.levels = [_levels(choice) for choice in self.free]
        self.defaults = np.array([choice.value_to_prob(choice.default) for choice in self.free], float)
        self._hp = HyperParameters()  # decides which choices are active; made once, since merging takes milliseconds
        self._hp.merge(self.space)

    def row(self, values: Mapping[str, Any]) -> np.ndarray:
        """Encode a design's values as a row, float (choices,)."""
        self._hp.values = dict(values)
        active = [self._hp.is_active(choice) and choice.name in values for choice in self.free]
        given = [
            c.value_to_prob(values[c.name]) if on else d
            for c, on, d in zip(self.free, active, self.defaults, strict=True)
        ]
        return np.array(given, float)

    def values(self, row: np.ndarray) -> dict[str, Any]:
        """Decode a row into the values of its active choices."""
        hp = HyperParameters()
        column = {id(choice): k for k, choice in enumerate(self.free)}
        for choice in self.space:
            hp.merge([choice])
            if hp.is_active(choice):
                fixed = isinstance(choice, kinds.Fixed)
                hp.values[choice.name] = choice.value if fixed else choice.prob_to_value(row[column[id(choice)]])
        values: dict[str, Any] = hp.values
        return values

    def snap(self, rows: np.ndarray) -> np.ndarray:
        """Move rows to the nearest existing designs: values of lists, and defaults for inactive choices."""
        rows = rows.copy()
        for k, count in enumerate(self.levels):
            if count:
                rows[:, k] = (np.minimum(np.floor(rows[:, k] * count), count - 1) + 0.5) / count
        active: list[np.ndarray] = []
        for k, choice in enumerate(self.free):
            on = np.ones(len(rows), bool)
            for condition in choice.conditions:
                on &= self._holds(condition, rows, active)
            active.append(on)
            rows[~on, k] = self.defaults[k]
        return rows

    def features(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return each choice's coordinates for computing distances: (n, 1), or one-hot (n, values)."""
        features = []
        for k, (choice, count) in enumerate(zip(self.free, self.levels, strict=True)):
            if isinstance(choice, kinds.Choice) and not choice.ordered and count > 2:
                level = np.minimum((rows[:, k] * count).astype(int), count - 1)
                features.append(np.eye(count)[level] * np.sqrt(0.5))  # two values are 1 apart
            else:
                column = rows[:, k]
                if isinstance(choice, kinds.Choice):  # whose values may be listed in any order, the default first
                    rank = np.argsort(np.argsort(choice.values))
                    column = (rank[np.minimum((column * count).astype(int), count - 1)] + 0.5) / count
                spread = (count - 1) / count if count and count > 1 else 1.0  # the ends are 1 apart
                features.append(column[:, None] / spread)
        return features

    def neighbours(self, row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the rows that differ in a single choice: every other value, or some steps along a range."""
        neighbours = []
        for k, count in enumerate(self.levels):
            values = (np.arange(count) + 0.5) / count if count else np.clip(row[k] + rng.normal(0, 0.1, STEPS), 0, 1)
            chosen = values if len(values) <= 12 else rng.choice(values, 12, replace=False)
            changed = np.repeat(row[None], len(chosen), axis=0)
            changed[:, k] = chosen
            neighbours.append(changed)
        return np.concatenate(neighbours)

    def _holds(self, condition: Any, rows: np.ndarray, active: list[np.ndarray]) -> np.ndarray:
        held = np.zeros(len(rows), bool)
        for choice in self.space:
            if choice.name != condition.name:
                continue
            if isinstance(choice, kinds.Fixed):
                held |= choice.value in condition.values
                continue
            k = next(k for k, free in enumerate(self.free) if free is choice)
            if k >= len(active):
                continue
            known: dict[float, bool] = {p: choice.prob_to_value(p) in condition.values for p in np.unique(rows[:, k])}
            held |= active[k] & np.array([known[p] for p in rows[:, k]], bool)
        return held


def _levels(choice: Any) -> int:
    """Return the number of values of a choice; 0 for a continuous range."""
    if isinstance(choice, kinds.Float) and choice.step is None:
        return 0
    if isinstance(choice, kinds.Int) and choice.sampling in ("log", "reverse_log") and choice.step is None:
        return 0
    return len(list(choice.values))
