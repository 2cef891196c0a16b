"""Accuracy as a sum of the choices' effects, fitted to all designs at all budgets at once.

    accuracy[d, b] = mean[b] + scale[b] * (x[d] @ effects + design[d] + noise[d, b])

A mixed linear model: a mean for each budget b (a number of epochs), one effect for each choice, a random effect for
each design d, so that a design that was measured at three budgets does not count as three designs, and a scale for each
budget, because differences that show after fifty epochs hardly show after one. The variance components and scales are
estimated by restricted maximum likelihood. Hyperband promotes a design because of accuracies that are in the model, so
the missing budgets of the others are missing at random and do not bias it (Rubin 1976); comparing trials at one budget
would use only the survivors, and comparing final accuracies would compare budgets.

Fitting all choices together separates what a search, which prefers some values, has confounded. The effects vary
between designs, so their F tests have the residual degrees of freedom of designs, not of measurements (the containment
method). With a single budget this is ordinary least squares, and the tests are those of
``statsmodels.stats.anova_lm(typ=2)``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from fer_search.report.statistics.terms import Term, make_terms
from fer_search.runfolder.choices import Choice

MIN_RESIDUAL_DOF = 4  # fewer designs than that beyond the number of coefficients: effects cannot be separated
MIN_DESIGNS_PER_BUDGET = 3
MAX_VARIANCE_DESIGNS = 500  # used to estimate variance components; of more designs, evenly spaced ones
RIDGE = 1e-9  # relative to the mean diagonal of x'x: collinear columns get finite coefficients instead of an error
SCALE_LIMITS = (0.05, 20.0)


class Measurements(NamedTuple):
    """Accuracies of designs at budgets.

    Attributes:
        designs: one row a design, D in all, with a ``choice.NAME`` column for each choice.
        design: int (n,), row in ``designs`` of each measurement.
        budget: int (n,), index into ``budgets`` of each measurement.
        accuracy: float (n,), from 0 to 1; the mean where a design was trained with several seeds.
        budgets: numbers of epochs, ascending; [None] where only final accuracies are known.
    """

    designs: pd.DataFrame
    design: np.ndarray
    budget: np.ndarray
    accuracy: np.ndarray
    budgets: list[int | None]


class JointFit(NamedTuple):
    """A fitted model.

    Attributes:
        terms: the choices in it.
        slices: positions of each term's coefficients, in the order of ``terms``.
        x: float (D, p), the terms' columns.
        coefficients: float (p,), in accuracy at the largest budget.
        inverse: float (p, p), covariance of the coefficients divided by ``variance``.
        variance: variance of one measurement at the largest budget that the choices do not explain.
        correlation: fraction of it that belongs to the design, from 0 to 1.
        dof: residual degrees of freedom: designs - p - 1.
        scales: one a budget, 1 for the largest.
        residuals: float (D,), mean residual of each design, in accuracy at the largest budget.
        measurements: what was fitted.
    """

    terms: list[Term]
    slices: list[slice]
    x: np.ndarray
    coefficients: np.ndarray
    inverse: np.ndarray
    variance: float
    correlation: float
    dof: int
    scales: np.ndarray
    residuals: np.ndarray
    measurements: Measurements

    def contrast(self, index: int, weights: np.ndarray) -> tuple[float, float]:
        """Return the difference that ``weights`` on a term's coefficients makes, and its standard error."""
        here = self.slices[index]
        error = float(np.sqrt(max(weights @ self.inverse[here, here] @ weights, 0.0) * self.variance))
        return float(weights @ self.coefficients[here]), error


def fit_joint_model(measurements: Measurements, choices: Sequence[Choice]) -> JointFit | None:
    """Fit all choices together.

    Args:
        measurements: from ``measurements.gather_measurements``.
        choices: those that may have an effect; one that had a single value is left out.

    Returns:
        The fit; None where too few designs are left to separate the choices' effects from noise.
    """
    count = len(measurements.designs)
    terms = make_terms(measurements.designs, choices, count - 1 - MIN_RESIDUAL_DOF)
    if not terms:
        return None
    ends = np.cumsum([0, *(term.columns.shape[1] for term in terms)])
    slices = [slice(int(start), int(end)) for start, end in itertools.pairwise(ends)]
    x = np.concatenate([term.columns for term in terms], axis=1)
    dof = count - x.shape[1] - 1
    if dof < MIN_RESIDUAL_DOF:
        return None
    problem = _Problem(measurements, x)
    correlation, scales = problem.estimate()
    solution = problem.solve(correlation, scales)
    levels = len(measurements.budgets)
    coefficients, inverse = solution.coefficients[levels:], solution.inverse[levels:, levels:]
    residuals = np.bincount(measurements.design, solution.residuals, count) / problem.sizes
    variance = solution.squares / max(len(measurements.accuracy) - x.shape[1] - levels, 1)
    fixed = (terms, slices, x, coefficients, inverse, float(variance), correlation, dof, scales, residuals)
    return JointFit(*fixed, measurements)


class _Solution(NamedTuple):
    coefficients: np.ndarray  # budgets' means first
    inverse: np.ndarray
    squares: float  # of the whitened residuals
    residuals: np.ndarray  # on the scale of the largest budget
    log_determinant: float  # of W' R^-1 W


class _Problem:
    """Generalised least squares with correlated measurements of a design."""

    def __init__(self, measurements: Measurements, x: np.ndarray) -> None:
        self.design, self.budget = measurements.design, measurements.budget
        self.y = measurements.accuracy
        self.levels = len(measurements.budgets)
        dummies = (self.budget[:, None] == np.arange(self.levels)).astype(float)
        self.w = np.concatenate([dummies, x[self.design]], axis=1)
        self.sizes = np.maximum(np.bincount(self.design, minlength=len(measurements.designs)), 1)
        self.counts = np.bincount(self.budget, minlength=self.levels)

    def estimate(self) -> tuple[float, np.ndarray]:
        """Return the correlation and the budgets' scales by restricted maximum likelihood."""
        if self.levels == 1:
            return 0.0, np.ones(1)
        from scipy.optimize import minimize

        part = self._thinned()

        def criterion(parameters: np.ndarray) -> float:
            return part._criterion(*_unpack(parameters))

        start = np.concatenate([[0.5], self._start_scales()])
        optimum = minimize(criterion, start, method="Nelder-Mead", options={"maxiter": 60 * len(start), "fatol": 1e-3})
        return _unpack(optimum.x)

    def solve(self, correlation: float, scales: np.ndarray) -> _Solution:
        """Return the generalised least squares solution for given variance components."""
        z = self.y / scales[self.budget]
        whitened = self._whiten(np.concatenate([self.w, z[:, None]], axis=1), correlation)
        w, target = whitened[:, :-1], whitened[:, -1]
        gram = w.T @ w
        gram = gram + RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
        inverse = np.linalg.inv(gram)
        coefficients = inverse @ (w.T @ target)
        squares = float(((target - w @ coefficients) ** 2).sum())
        return _Solution(coefficients, inverse, squares, z - self.w @ coefficients, float(np.linalg.slogdet(gram)[1]))

    def _criterion(self, correlation: float, scales: np.ndarray) -> float:
        """Return -2 log restricted likelihood, without constants."""
        solution, dof = self.solve(correlation, scales), len(self.y) - self.w.shape[1]
        sizes = self.sizes
        determinant = ((sizes - 1) * np.log1p(-correlation) + np.log1p(correlation * (sizes - 1))).sum()
        jacobian = 2 * ((self.counts - 1) * np.log(scales)).sum() * dof / max(len(self.y) - self.levels, 1)
        return float(dof * np.log(max(solution.squares, 1e-300)) + determinant + solution.log_determinant + jacobian)

    def _whiten(self, columns: np.ndarray, correlation: float) -> np.ndarray:
        """Multiply by the inverse square root of each design's compound-symmetric correlation matrix."""
        if self.levels == 1 or correlation == 0:
            return columns
        sums = np.zeros((len(self.sizes), columns.shape[1]))
        np.add.at(sums, self.design, columns)
        means = sums / self.sizes[:, None]
        shrink = 1 - np.sqrt((1 - correlation) / (1 - correlation + self.sizes * correlation))
        whitened: np.ndarray = (columns - (shrink[:, None] * means)[self.design]) / np.sqrt(1 - correlation)
        return whitened

    def _start_scales(self) -> np.ndarray:
        spread = np.array([self.y[self.budget == level].std() for level in range(self.levels)])
        ratio = spread / spread[-1] if spread[-1] > 0 else np.ones(self.levels)
        return np.log(np.clip(ratio[:-1], *SCALE_LIMITS))

    def _thinned(self) -> _Problem:
        """Return the same problem on at most ``MAX_VARIANCE_DESIGNS`` designs, for speed."""
        step = -(-len(self.sizes) // MAX_VARIANCE_DESIGNS)
        if step == 1:
            return self
        keep = self.design % step == 0
        part = object.__new__(_Problem)
        part.design, part.budget = self.design[keep] // step, self.budget[keep]
        part.y, part.w, part.levels = self.y[keep], self.w[keep], self.levels
        part.sizes = np.maximum(np.bincount(part.design, minlength=-(-len(self.sizes) // step)), 1)
        part.counts = np.bincount(part.budget, minlength=self.levels)
        return part


def _unpack(parameters: np.ndarray) -> tuple[float, np.ndarray]:
    """Return correlation and scales from unbounded parameters: a logit, and logarithms relative to the last budget."""
    correlation = float(np.clip(1 / (1 + np.exp(-parameters[0])), 0.0, 0.999))
    return correlation, np.append(np.clip(np.exp(parameters[1:]), *SCALE_LIMITS), 1.0)
