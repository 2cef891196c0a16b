"""A Gaussian process over designs and epochs: what partly trained designs would have at the end of their training.

Freeze-thaw Bayesian optimisation (Swersky et al. 2014, arXiv:1406.3896) in the form that its successors use (BOHB
arXiv:1807.01774, MOBSTER arXiv:2003.10865): one model for all rungs. The score of design x after a fraction t of the
epochs is

    mean(t) + t^GROWTH * (f(x, t) + own(x, t) + seed) + noise(t)

where f is smooth in the choices (a sum of one effect per choice, plus interactions) and its correlation between two
fractions falls with the logarithm of their ratio; "own" is what this design adds to f, "seed" what this training adds
to the design, and the noise falls with t. A choice may therefore help early and harm late: a schedule such as
one_cycle, which is behind until its learning rate falls, is a covariate of the curve like any other choice, and is not
held against a design whose training was stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import ndtr

from fer_search.search.proposing.gaussian_process import pairwise_squares

# Relative to the variance of the final scores of random designs: between the likeliest values for the two tables
# of benchmarks/study (likelihood.py there).
EFFECT_LENGTH = 0.3  # length scale of a choice's own effect; the ends of a range, and two values of a list, are 1 apart
INTERACTION_LENGTH = 0.4  # length scale of interactions, times the square root of the number of choices
EFFECTS = 0.45  # fraction of f that is the sum of one effect per choice
OWN, SEED = 0.02, 0.045
GROWTH, DECORRELATION = 0.3, 0.2
LEVEL, RUNG_LEVEL = 0.5, 4.0  # of the mean of all scores, and of each rung's
LAST_NOISE, FIRST_NOISE = 0.04, 0.09
# Standard deviations of final accuracies, and factors on SEED and the noise: the likeliest are taken. Their prior is
# lognormal around 0.05 and 1, and narrow: from a dozen scores neither can be told.
SCALES = np.array([0.02, 0.035, 0.05, 0.07, 0.1])
NOISES = np.array([0.5, 1.0, 2.0])
MEDIAN_SCALE, LOG_SPREAD = 0.05, 0.2


@dataclass(frozen=True)
class Observations:
    """Scores of partly trained designs.

    Args:
        design: Int (n,), index of each score's design.
        fraction: Float (n,), epochs trained over the maximum number of epochs.
        score: Float (n,), validation accuracy.
    """

    design: np.ndarray
    fraction: np.ndarray
    score: np.ndarray


class LearningCurves:
    """The model, conditioned on observations.

    Args:
        features: From ``Encoding.features`` for all designs with a score, one array per choice.
        seen: Their scores.

    Attributes:
        training_noise: Standard deviation of a design's score after the last epoch, between seeds.
    """

    def __init__(self, features: list[np.ndarray], seen: Observations) -> None:
        self.features, self.seen = features, seen
        self.mean = float(np.mean(seen.score))
        rows = [feature[seen.design] for feature in features]
        smooth = _smooth(rows, rows) * _together(seen.fraction, seen.fraction)
        same = (seen.design[:, None] == seen.design) * _together(seen.fraction, seen.fraction)
        fixed = _levels(seen.fraction, seen.fraction)
        noise = np.diag(LAST_NOISE + FIRST_NOISE * (1 - seen.fraction) ** 2)
        centred = seen.score - self.mean
        best = -np.inf
        for factor in NOISES:
            kernel = smooth + fixed + (OWN + factor * SEED) * same + factor * noise
            cholesky = cho_factor(kernel, lower=True)
            weights = cho_solve(cholesky, centred)
            misfit, volume = 0.5 * centred @ weights, np.log(np.diag(cholesky[0])).sum()
            for scale in SCALES:
                likelihood = -misfit / scale**2 - volume - len(centred) * np.log(scale)
                away = np.log([scale / MEDIAN_SCALE, factor]) / LOG_SPREAD
                likelihood -= 0.5 * away @ away
                if likelihood > best:
                    best, self.scale = likelihood, float(scale)
                    self.weights, self._cholesky = weights / scale, cholesky[0]
                    self.training_noise = self.scale * float(np.sqrt(factor * (SEED + LAST_NOISE)))

    def predict(
        self, features: list[np.ndarray], index: np.ndarray | None = None, fraction: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of what designs score with another seed, without noise; float (m,) each.

        Args:
            features: Of the designs.
            index: Int (m,), which of the designs with a score they are; None for new ones.
            fraction: Of the epochs after which.
        """
        at = np.array([fraction])
        together = _together(at, self.seen.fraction)
        rows = [feature[self.seen.design] for feature in self.features]
        cross = _smooth(features, rows) * together + _levels(at, self.seen.fraction)
        if index is not None:
            cross = cross + OWN * (index[:, None] == self.seen.design) * together
        whitened = solve_triangular(self._cholesky, cross.T, lower=True)
        prior = (1 + OWN) * float(_together(at, at)[0, 0]) + LEVEL + RUNG_LEVEL
        variance = np.maximum(prior - np.square(whitened).sum(0), 1e-9)
        return self.mean + self.scale * (cross @ self.weights), self.scale * np.sqrt(variance)


def expected_improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """Return by how much normal scores exceed ``best`` on average, where they do; float (n,)."""
    z = (mean - best) / deviation
    improvement: np.ndarray = deviation * (z * ndtr(z) + np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi))
    return improvement


def _smooth(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> np.ndarray:
    """Return the prior correlation of f between designs, float (len(a), len(b))."""
    total = np.zeros((len(a[0]), len(b[0])))
    effects = np.zeros_like(total)
    for one, other in zip(a, b, strict=True):
        squares = pairwise_squares(one, other)
        total += squares
        effects += np.exp(-0.5 / EFFECT_LENGTH**2 * squares)
    r = np.sqrt(5 * total / len(a)) / INTERACTION_LENGTH
    return EFFECTS * effects / len(a) + (1 - EFFECTS) * (1 + r + r * r / 3) * np.exp(-r)


def _together(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the prior covariance between fractions of the epochs, float (len(a), len(b))."""
    apart = np.abs(np.log(a)[:, None] - np.log(b))
    covariance: np.ndarray = np.outer(a, b) ** GROWTH * np.exp(-DECORRELATION * apart)
    return covariance


def _levels(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    covariance: np.ndarray = LEVEL + RUNG_LEVEL * (a[:, None] == b)
    return covariance
