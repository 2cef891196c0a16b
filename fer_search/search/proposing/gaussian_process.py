"""Bayesian optimisation with a Gaussian process over the choices; a proposal takes a fraction of a second.

As in Keras Tuner's BayesianOptimization: a Matern 5/2 kernel and the upper confidence bound. Unlike there, each choice
has its own length scale and the noise is estimated (both by maximum likelihood, with analytic gradients), unordered
choices are one-hot, and the bound is maximised over thousands of existing designs at once instead of over the
continuous relaxation, one start at a time with numerical gradients.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from fer_search.search.proposing.encoding import Encoding

CANDIDATES = 3000  # random designs evaluated per proposal
CLIMBERS = 12  # best candidates, improved by local search one choice at a time
ROUNDS = 6  # of local search
FIT_STEPS = 30  # L-BFGS iterations
PRIOR_SPREAD = 1.0  # standard deviation of log length scales in the prior, which prevents overfitting to few trials
NOISE = (1e-4, 1.0)  # range of the noise variance relative to the variance of the scores


class GaussianProcess:
    """Gaussian process regression of scores on designs.

    Args:
        features: From ``Encoding.features``, one array per choice.
        scores: Float (n,), higher is better.
    """

    def __init__(self, features: list[np.ndarray], scores: np.ndarray) -> None:
        self.mean, self.scale = float(scores.mean()), float(scores.std()) or 1.0
        self.y = (scores - self.mean) / self.scale
        self._condition(features, _fit(_all_squares(features), self.y))

    def _condition(self, features: list[np.ndarray], theta: np.ndarray) -> None:
        """Condition the process on the standardised scores ``y``, with hyperparameters from ``_fit``."""
        self.features, self.theta = features, theta
        self.weights, self.signal, noise = np.exp(-2 * theta[:-2]), np.exp(theta[-2]), np.exp(theta[-1])
        kernel = self.signal * _matern(np.tensordot(self.weights, _all_squares(features), 1))
        factor = cho_factor(kernel + noise * np.eye(len(self.y)), lower=True)
        self.alpha = cho_solve(factor, self.y)
        # The noise keeps the condition number below 1e4, so the inverse is accurate and a prediction is a product.
        self.whiten = solve_triangular(factor[0], np.eye(len(self.y)), lower=True)
        self.points = self._scaled(features)

    def believe(self, features: list[np.ndarray]) -> GaussianProcess:
        """Return the process as if these designs had been observed with their expected scores."""
        believed = copy.copy(self)
        expected, _ = self.predict(features)
        believed.y = np.concatenate([self.y, (expected - self.mean) / self.scale])
        believed._condition([np.concatenate(pair) for pair in zip(self.features, features, strict=True)], self.theta)
        return believed

    def predict(self, features: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and standard deviation (without noise) of designs' scores, each float (m,)."""
        cross = self.signal * _matern(pairwise_squares(self._scaled(features), self.points))
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
    pending: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any] | None:
    """Return the values of the untried design with the highest upper confidence bound.

    Args:
        space: Keras Tuner's list of hyperparameters.
        tried: Values of the designs with a score.
        scores: Float (n,), higher is better.
        beta: Number of standard deviations added to the mean in the bound.
        rng: Random generator.
        pending: Values of designs that are being trained; each counts as seen with the expected score ("kriging
            believer", Ginsbourger et al. 2010), which drives the next proposals away from them.

    Returns:
        The values; None if every candidate has been tried.
    """
    encoding = Encoding(space)
    known = encoding.snap(np.stack([encoding.row(values) for values in tried]))
    process = GaussianProcess(encoding.features(known), np.asarray(scores, float))
    taken = {_key(row) for row in known}
    if pending:
        waiting = encoding.snap(np.stack([encoding.row(values) for values in pending]))
        taken |= {_key(row) for row in waiting}
        process = process.believe(encoding.features(waiting))

    def bound(rows: np.ndarray) -> np.ndarray:
        mean, deviation = process.predict(encoding.features(rows))
        return mean + beta * deviation

    drawn = encoding.snap(rng.random((CANDIDATES, len(encoding.free))))
    starts = np.concatenate([drawn, known[np.argsort(-scores)[:CLIMBERS]]])
    rows, bounds = _local_search(encoding, bound, starts, rng)
    for index in np.argsort(-bounds, kind="stable"):
        if _key(rows[index]) not in taken:
            return encoding.values(rows[index])
    return None


def _local_search(
    encoding: Encoding, bound: Callable[[np.ndarray], np.ndarray], starts: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Improve the best starts one choice at a time; return all rows evaluated, and their bounds."""
    bounds = bound(starts)
    climbing = starts[np.argsort(-bounds, kind="stable")[:CLIMBERS]]
    all_rows, all_bounds = [starts], [bounds]
    for _ in range(ROUNDS):
        around = [encoding.snap(encoding.neighbours(row, rng)) for row in climbing]
        bounds = bound(np.concatenate(around))
        all_rows.append(np.concatenate(around))
        all_bounds.append(bounds)
        parts = np.split(bounds, np.cumsum([len(rows) for rows in around])[:-1])
        higher = np.stack([rows[np.argmax(part)] for rows, part in zip(around, parts, strict=True)])
        if np.array_equal(higher, climbing):
            break
        climbing = np.unique(higher, axis=0)
    return np.concatenate(all_rows), np.concatenate(all_bounds)


def _key(row: np.ndarray) -> bytes:
    return np.round(row, 6).tobytes()


def pairwise_squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return squared Euclidean distances, float (len(a), len(b))."""
    if a.shape[1] == 1:
        squares: np.ndarray = np.square(a - b.T)
    else:
        squares = np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0.0)
    return squares


def _all_squares(features: list[np.ndarray]) -> np.ndarray:
    """Return squared distances between all designs, one matrix per choice: float (choices, n, n)."""
    return np.stack([pairwise_squares(f, f) for f in features])


def _matern(squared: np.ndarray) -> np.ndarray:
    r = np.sqrt(5 * squared)
    covariance: np.ndarray = (1 + r + r**2 / 3) * np.exp(-r)
    return covariance


def _inverse(factor: np.ndarray) -> np.ndarray:
    """Return the inverse of the matrix with a lower Cholesky factor."""
    lower = np.tril(dpotri(factor, lower=1)[0])
    inverse: np.ndarray = lower + np.tril(lower, -1).T
    return inverse


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
    best = minimize(loss, middle, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": FIT_STEPS})
    fitted: np.ndarray = best.x
    return fitted
