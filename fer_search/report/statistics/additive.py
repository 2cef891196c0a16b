"""Accuracy as a sum of what each choice adds: the one model behind effects, importances and the ablation path.

Accuracy = constant + one term a choice + noise, by least squares over trials of equal budget. A choice with few values
has a step for each value, a number a parabola (on its log where the space samples so). Where a choice was not active
its term is zero, and its mean over the active trials is zero, so that what it depends on keeps the whole of its effect.
Fitting all choices together takes apart what a search, which prefers some values, has mixed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fer_search.report.statistics.budgets import level_of, on_scale
from fer_search.report.tables.trials import CHOICE
from fer_search.runfolder.choices import Choice

RIDGE = 1e-9  # of the mean diagonal: terms that cannot be told apart get a share each instead of an error
MIN_RESIDUAL_DOF = 8  # fewer degrees of dof left than this: the choices are fitted one by one
MIN_DISTINCT_FOR_QUADRATIC = 8  # distinct numbers from which on a parabola is fitted, and not a line


class Term(NamedTuple):
    """One choice in the model.

    Attributes:
        choice: which.
        levels: its values, where it has a step for each; empty for a number on a scale.
        columns: its columns, of the active trials; see ``basis``.
        active: bool (n,), the trials where it was active.
        given: (n,), the level's index, or the number on its scale; NaN where it was not active.
        centre: (p,), what was subtracted from the columns.
        middle: mean and spread of the number on its scale.
        log: whether that scale is the number's log10.
    """

    choice: Choice
    levels: list[Any]
    columns: np.ndarray
    active: np.ndarray
    given: np.ndarray
    centre: np.ndarray
    middle: tuple[float, float] = (0.0, 1.0)
    log: bool = False

    def basis(self, given: np.ndarray) -> np.ndarray:
        """Return the columns' values for these levels or numbers on the scale, (len, p)."""
        return _columns(np.asarray(given, float), len(self.levels), len(self.centre), self.middle) - self.centre


def make_term(trials: pd.DataFrame, choice: Choice) -> Term | None:
    """Return the term of a choice; None where it had one value, or one in all but a trial."""
    column = trials[CHOICE + choice.name]
    active = column.notna().to_numpy()
    levels, given = level_of(trials, choice)
    middle, size, log = (0.0, 1.0), max(len(levels) - 1, 0), False
    if not levels:
        given, log = on_scale(column, choice)
        known = given[active]
        if len(known) < 3 or np.ptp(known) == 0:
            return None
        middle = float(known.mean()), float(known.std())
        size = 2 if len(np.unique(known)) >= MIN_DISTINCT_FOR_QUADRATIC else 1
    if size < 1:
        return None
    columns = _columns(given, len(levels), size, middle)
    centre = columns[active].mean(axis=0)
    columns = np.where(active[:, None], columns - centre, 0.0)
    return Term(choice, levels, columns, active, given, centre, middle, log)


def _columns(given: np.ndarray, levels: int, size: int, middle: tuple[float, float]) -> np.ndarray:
    if levels:
        return (given[:, None] == np.arange(1, levels)).astype(float)
    z = np.nan_to_num((given - middle[0]) / middle[1])
    return np.stack([z, z * z], axis=1)[:, :size]


class Fit(NamedTuple):
    """A fitted model.

    Attributes:
        terms: the choices in it.
        slices: where each one's coefficients are.
        x: (n, p) columns, the constant first.
        y: (n, k) responses.
        coefficients: (p, k).
        inverse: (p, p) of x'x.
        variance: (k,) of the noise.
        residual_dof: degrees of dof that the noise is estimated from.
    """

    terms: list[Term]
    slices: list[slice]
    x: np.ndarray
    y: np.ndarray
    coefficients: np.ndarray
    inverse: np.ndarray
    variance: np.ndarray
    residual_dof: int

    def contrast(self, which: int, high: np.ndarray, low: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return difference and its standard error, (k,), between two points of a term's basis."""
        weights = np.zeros(self.x.shape[1])
        weights[self.slices[which]] = high - low
        error = np.sqrt(np.maximum(weights @ self.inverse @ weights, 0) * self.variance)
        return weights @ self.coefficients, error


def fit(terms: Sequence[Term], y: np.ndarray) -> Fit | None:
    """Fit terms together; None where too few trials would be left to estimate the noise from.

    Args:
        terms: from ``make_term``, of the same trials.
        y: (n, k), finite.
    """
    ends = np.cumsum([1, *(term.columns.shape[1] for term in terms)])
    slices = [slice(int(a), int(b)) for a, b in itertools.pairwise(ends)]
    x = np.concatenate([np.ones((len(y), 1)), *(term.columns for term in terms)], axis=1)
    residual_dof = len(y) - x.shape[1]
    if residual_dof < 1:
        return None
    inverse = invert(x.T @ x)
    coefficients = inverse @ (x.T @ y)
    variance = ((y - x @ coefficients) ** 2).sum(axis=0) / residual_dof
    return Fit(list(terms), slices, x, y, coefficients, inverse, variance, residual_dof)


def fits(trials: pd.DataFrame, choices: Sequence[Choice], y: np.ndarray) -> list[tuple[Fit, int]]:
    """Return, for each choice that can be judged, the fit that holds it and its place in that fit.

    It is one fit of all where enough trials are left over, or else one for each choice.

    Args:
        trials: rows of ``load_trials`` of equal budget.
        choices: the choices that varied.
        y: (n, k), a response a column; rows that are not finite do not count.
    """
    finite = np.isfinite(y).all(axis=1)
    rows, y = trials[finite], y[finite]
    terms = [term for choice in choices if (term := make_term(rows, choice)) is not None]
    size = 1 + sum(term.columns.shape[1] for term in terms)
    if len(y) - size >= max(MIN_RESIDUAL_DOF, size // 2) and (together := fit(terms, y)):
        return [(together, k) for k in range(len(terms))]
    alone = (fit([term], y) for term in terms)
    return [(one, 0) for one in alone if one is not None and one.residual_dof >= 3]


def invert(gram: np.ndarray) -> np.ndarray:
    """Return the inverse of x'x, or of a stack of them, with a trace of ridge."""
    size = gram.shape[-1]
    ridge = RIDGE * np.trace(gram, axis1=-2, axis2=-1)[..., None, None] / size
    return np.linalg.inv(gram + ridge * np.eye(size))
