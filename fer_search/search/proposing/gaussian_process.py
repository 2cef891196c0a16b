"""Bayesian optimisation with a Gaussian process over the choices; a proposal takes a fraction of a second.

As in Keras Tuner's BayesianOptimization: a Matern 5/2 kernel and the upper confidence bound. Unlike there, each choice
has its own length scale and the noise is estimated (both by maximum likelihood, with analytic gradients), unordered
choices are one-hot, and the bound is maximised over thousands of existing designs at once instead of over the
continuous relaxation, one start at a time with numerical gradients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras_tuner import HyperParameters
from keras_tuner.engine import hyperparameters as kinds
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

CANDIDATES = 3000  # random designs evaluated per proposal
CLIMBERS = 12  # best candidates, improved by local search one choice at a time
ROUNDS = 6  # of local search
STEPS = 6  # neighbours along a continuous range
FIT_STEPS = 30  # L-BFGS iterations
PRIOR_SPREAD = 1.0  # standard deviation of log length scales in the prior, which prevents overfitting to few trials
NOISE = (1e-4, 1.0)  # range of the noise variance relative to the variance of the scores


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
        return hp.values

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
                spread = (count - 1) / count if count and count > 1 else 1.0  # the ends are 1 apart
                features.append(rows[:, k : k + 1] / spread)
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


class GaussianProcess:
    """Gaussian process regression of scores on designs.

    Args:
        features: From ``Encoding.features``, one array per choice.
        scores: Float (n,), higher is better.
    """

    def __init__(self, features: list[np.ndarray], scores: np.ndarray) -> None:
        self.mean, self.scale = float(scores.mean()), float(scores.std()) or 1.0
        y = (scores - self.mean) / self.scale
        squares = np.stack([_squares(f, f) for f in features])
        theta = _fit(squares, y)
        self.weights, self.signal, noise = np.exp(-2 * theta[:-2]), np.exp(theta[-2]), np.exp(theta[-1])
        kernel = self.signal * _matern(np.tensordot(self.weights, squares, 1))
        factor = cho_factor(kernel + noise * np.eye(len(y)), lower=True)
        self.alpha = cho_solve(factor, y)
        # The noise keeps the condition number below 1e4, so the inverse is accurate and a prediction is a product.
        self.whiten = solve_triangular(factor[0], np.eye(len(y)), lower=True)
        self.points = self._scaled(features)

    def predict(self, features: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and standard deviation (without noise) of designs' scores, each float (m,)."""
        cross = self.signal * _matern(_squares(self._scaled(features), self.points))
        explained = np.square(cross @ self.whiten.T).sum(1)
        deviation = np.sqrt(np.maximum(self.signal - explained, 1e-12))
        return self.mean + self.scale * (cross @ self.alpha), self.scale * deviation

    def _scaled(self, features: list[np.ndarray]) -> np.ndarray:
        """Return coordinates divided by their length scales, float (n, coordinates)."""
        return np.concatenate([np.sqrt(w) * f for w, f in zip(self.weights, features, strict=True)], axis=1)


def propose(
    space: Sequence[Any],
    tried: Sequence[Mapping[str, Any]],
    scores: np.ndarray,
    beta: float,
    rng: np.random.Generator,
    seen: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any] | None:
    """Return the values of the untried design with the highest upper confidence bound.

    Args:
        space: Keras Tuner's list of hyperparameters.
        tried: Values of the designs with a score.
        scores: Float (n,), higher is better.
        beta: Number of standard deviations added to the mean in the bound.
        rng: Random generator.
        seen: Values of further designs that must not be proposed.

    Returns:
        The values; None if every candidate has been tried.
    """
    encoding = Encoding(space)
    known = encoding.snap(np.stack([encoding.row(values) for values in tried]))
    process = GaussianProcess(encoding.features(known), np.asarray(scores, float))

    def bound(rows: np.ndarray) -> np.ndarray:
        mean, deviation = process.predict(encoding.features(rows))
        return mean + beta * deviation

    taken = {_key(row) for row in known}
    if seen:
        taken |= {_key(row) for row in encoding.snap(np.stack([encoding.row(values) for values in seen]))}
    drawn = encoding.snap(rng.random((CANDIDATES, len(encoding.free))))
    starts = np.concatenate([drawn, known[np.argsort(-scores)[:CLIMBERS]]])
    heights = bound(starts)
    climbing = starts[np.argsort(-heights, kind="stable")[:CLIMBERS]]
    candidates, bounds = [starts], [heights]
    for _ in range(ROUNDS):
        around = [encoding.snap(encoding.neighbours(row, rng)) for row in climbing]
        heights = bound(np.concatenate(around))
        candidates.append(np.concatenate(around))
        bounds.append(heights)
        parts = np.split(heights, np.cumsum([len(rows) for rows in around])[:-1])
        higher = np.stack([rows[np.argmax(part)] for rows, part in zip(around, parts, strict=True)])
        if np.array_equal(higher, climbing):
            break
        climbing = np.unique(higher, axis=0)
    rows, heights = np.concatenate(candidates), np.concatenate(bounds)
    for index in np.argsort(-heights, kind="stable"):
        if _key(rows[index]) not in taken:
            return encoding.values(rows[index])
    return None


def _levels(choice: Any) -> int:
    """Return the number of values of a choice; 0 for a continuous range."""
    if isinstance(choice, kinds.Float) and choice.step is None:
        return 0
    if isinstance(choice, kinds.Int) and choice.sampling in ("log", "reverse_log") and choice.step is None:
        return 0
    return len(list(choice.values))


def _key(row: np.ndarray) -> bytes:
    return np.round(row, 6).tobytes()


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return squared Euclidean distances, float (len(a), len(b))."""
    if a.shape[1] == 1:
        return np.square(a - b.T)
    return np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0.0)


def _matern(squared: np.ndarray) -> np.ndarray:
    r = np.sqrt(5 * squared)
    return (1 + r + r**2 / 3) * np.exp(-r)


def _inverse(factor: np.ndarray) -> np.ndarray:
    """Return the inverse of the matrix with a lower Cholesky factor."""
    lower = np.tril(dpotri(factor, lower=1)[0])
    return lower + np.tril(lower, -1).T


def _fit(squares: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the maximum a posteriori log length scales, log signal variance and log noise variance.

    The kernel depends on r^2 = sum of d^2 / length^2; dk/d(r^2) = -5/6 (1 + sqrt(5) r) exp(-sqrt(5) r).
    """
    choices, n = len(squares), len(y)
    middle = np.full(choices + 2, 0.5 * np.log(choices))  # squared distances add up over the choices
    middle[-2:] = 0.0, np.log(0.1)
    spread = np.full(choices + 2, PRIOR_SPREAD)
    spread[-2:] = 1.0, 2.0

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        weights, signal, noise = np.exp(-2 * theta[:-2]), np.exp(theta[-2]), np.exp(theta[-1])
        r = np.sqrt(5 * np.tensordot(weights, squares, 1))
        decay = np.exp(-r)
        kernel = signal * (1 + r + r**2 / 3) * decay
        try:
            factor = cho_factor(kernel + (noise + 1e-8) * np.eye(n), lower=True)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(theta)
        alpha = cho_solve(factor, y)
        inverse = _inverse(factor[0])
        outer = np.outer(alpha, alpha) - inverse  # minus twice the gradient of the loss by the kernel
        by_square = outer * (-5 / 6 * signal * (1 + r) * decay)
        gradient = np.empty_like(theta)
        gradient[:-2] = 0.5 * np.tensordot(squares, by_square, 2) * 2 * weights
        gradient[-2] = -0.5 * np.sum(outer * kernel)
        gradient[-1] = -0.5 * noise * np.trace(outer)
        away = (theta - middle) / spread
        value = 0.5 * y @ alpha + np.log(np.diag(factor[0])).sum() + 0.5 * away @ away
        return float(value), gradient + away / spread

    bounds = [(-2.0, 4.0)] * choices + [(-4.0, 3.0), tuple(np.log(NOISE))]
    return minimize(loss, middle, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": FIT_STEPS}).x
