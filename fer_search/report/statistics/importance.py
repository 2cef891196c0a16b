"""Which choices matter, and by how much: one verdict a choice, from the joint model of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fer_search.report import formatting
from fer_search.report.statistics.inference import holm
from fer_search.report.statistics.joint_model import JointFit, Measurements, fit_joint_model
from fer_search.report.statistics.terms import Term
from fer_search.runfolder.choices import Choice

DRAWS = 2000  # from the coefficients' sampling distribution
SMALL_EFFECT = 0.01  # an effect that is surely smaller than a point is called negligible
FIRST = 0.95  # fraction of draws in which a choice must explain the most to be called the most important
MATTERS, NEGLIGIBLE, INCONCLUSIVE = "matters", "negligible", "inconclusive"
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)  # of a number, between which a curved effect is measured
COLUMNS = (
    *("choice", "share", "share_low", "share_high", "noise_floor", "p", "p_holm", "first", "verdict"),
    *("value", "against", "difference", "low", "high", "designs", "designs_against"),
)


def importances(measurements: Measurements, choices: Sequence[Choice], level: float = 0.95) -> pd.DataFrame:
    """Estimate each choice's importance; see ``importances_of``. Empty where there are too few designs."""
    fit = fit_joint_model(measurements, choices)
    return pd.DataFrame(columns=list(COLUMNS)) if fit is None else importances_of(fit, level)


def importances_of(fit: JointFit, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Estimate how much of the variance of accuracy each choice explains, and what its values are worth.

    The share is the variance that a choice explains beyond all others (of confounded choices neither gets what both
    could explain), corrected for what noise alone would explain, as a fraction of the total variance between designs:
    a partial omega squared. The shares add up to at most 1.

    Args:
        fit: from ``joint_model.fit_joint_model``.
        level: confidence level.
        seed: random seed of the draws behind ``first``.

    Returns:
        One row a choice, the most important first, with the columns

        - ``choice``; ``share``, ``share_low``, ``share_high``: fraction of the variance, and its interval (from the
          noncentral F distribution, Steiger 2004);
        - ``noise_floor``: a choice with a lower share may be noise alone;
        - ``p``: F test of no effect; ``p_holm``: corrected for the number of choices (Holm 1979);
        - ``first``: probability that the choice is the most important one, given the fit;
        - ``verdict``: "matters" (``p_holm`` below 1 - level), "negligible" (surely less than a point) or
          "inconclusive";
        - ``value``, ``against``, ``difference``, ``low``, ``high``: its largest contrast, the better value first, in
          accuracy at the largest budget, with an interval that holds for all choices and values at once (Scheffe's
          within the choice, Bonferroni's over the choices); ``designs``, ``designs_against``: numbers of designs with
          either value.
    """
    alpha = 1 - level
    p = np.array([_p_value(fit, index) for index in range(len(fit.terms))])
    corrected, first, total = holm(p), _first(fit, seed), _total_variance(fit)
    threshold = alpha / max(1, int((corrected >= alpha).sum()))  # at which Holm's first accepted hypothesis was tested
    rows = []
    for index, term in enumerate(fit.terms):
        row: dict[str, Any] = {"choice": term.choice.name, "p": p[index], "p_holm": corrected[index]}
        row |= _shares(fit, index, total, alpha, threshold) | _largest_contrast(fit, index, alpha / len(fit.terms))
        negligible = max(-row["low"], row["high"]) < SMALL_EFFECT
        row["verdict"] = MATTERS if corrected[index] < alpha else NEGLIGIBLE if negligible else INCONCLUSIVE
        rows.append(row | {"first": first[index]})
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    excess = max(1.0, float(table["share"].sum()))  # above 1 where choices suppress each other
    shares = ["share", "share_low", "share_high", "noise_floor"]
    table[shares] = (table[shares] / excess).clip(0, 1)
    order = np.lexsort((table["p"].to_numpy(float), -table["share"].to_numpy(float)))
    return table.iloc[order].reset_index(drop=True)


def conclusion(table: pd.DataFrame, designs: int | None = None) -> str:
    """Return what the importances say, in a sentence or two.

    Args:
        table: from ``importances``.
        designs: number of designs, which is named where they are too few.
    """
    if table.empty:
        count = "" if designs is None else f" ({formatting.plural(designs, 'design')})"
        return f"Too few designs{count} to separate the effects of the choices."
    matters = [formatting.label(name) for name in table.loc[table["verdict"] == MATTERS, "choice"]]
    if not matters:
        return "No choice has a significant effect yet (95%, Holm)."
    if len(matters) == 1:
        return f"Only {matters[0]} has a significant effect (95%, Holm)."
    listed = f"Significant effects (95%, Holm): {', '.join(matters)}."
    if is_first(table):
        return f"{listed} The most important is {matters[0]}."
    return f"{listed} Which is the most important cannot be said yet."


def is_first(table: pd.DataFrame) -> bool:
    """Whether the first choice of ``importances`` is significantly the most important one."""
    return bool(len(table) and table["verdict"].iloc[0] == MATTERS and table["first"].iloc[0] >= FIRST)


def _squares(fit: JointFit, index: int) -> tuple[float, int]:
    """Return the sum of squares that would be lost without a term, and its degrees of freedom."""
    here = fit.slices[index]
    b = fit.coefficients[here]
    return float(b @ np.linalg.solve(fit.inverse[here, here], b)), len(b)


def _p_value(fit: JointFit, index: int) -> float:
    from scipy.special import fdtrc

    squares, dof = _squares(fit, index)
    return float(fdtrc(dof, fit.dof, squares / dof / fit.variance)) if fit.variance > 0 else 1.0


def _total_variance(fit: JointFit) -> float:
    """Return the variance of one measurement at the largest budget, over the designs."""
    x = fit.x - fit.x.mean(axis=0)
    noise = fit.variance * float(np.trace(fit.inverse @ (x.T @ x))) / max(len(x) - 1, 1)
    return max(float((x @ fit.coefficients).var(ddof=1)) - noise, 0.0) + fit.variance


def _unique_covariance(fit: JointFit, index: int) -> np.ndarray:
    """Return the covariance over the designs of a term's columns, after regression on all other columns."""
    here = fit.slices[index]
    x = fit.x - fit.x.mean(axis=0)
    own, others = x[:, here], np.delete(x, np.arange(here.start, here.stop), axis=1)
    if others.shape[1]:
        own = own - others @ np.linalg.lstsq(others, own, rcond=None)[0]
    covariance: np.ndarray = own.T @ own / max(len(own) - 1 - others.shape[1], 1)
    return covariance


def _shares(fit: JointFit, index: int, total: float, alpha: float, threshold: float) -> dict[str, float]:
    from scipy.special import fdtri

    squares, dof = _squares(fit, index)
    if not (fit.variance > 0 and squares > 0 and total > 0):
        return dict.fromkeys(("share", "share_low", "share_high", "noise_floor"), 0.0)
    b, f = fit.coefficients[fit.slices[index]], squares / dof / fit.variance
    # The share of a noncentrality of 1, an effect of this direction.
    unit = float(b @ _unique_covariance(fit, index) @ b) / squares * fit.variance / total
    low, high = (_noncentrality(f, dof, fit.dof, quantile) * unit for quantile in (1 - alpha / 2, alpha / 2))
    share = max(f - 1, 0.0) * dof * unit
    floor = max(float(fdtri(dof, fit.dof, 1 - threshold)) - 1, 0.0) * dof * unit
    return {"share": share, "share_low": min(low, share), "share_high": max(high, share), "noise_floor": floor}


def _noncentrality(f: float, dof: int, residual_dof: int, probability: float) -> float:
    """Return the noncentrality for which an F value of at most ``f`` has this probability; 0 where there is none."""
    from scipy.special import ncfdtr

    low, high = 0.0, 1.0
    if not ncfdtr(dof, residual_dof, low, f) > probability:
        return 0.0
    while ncfdtr(dof, residual_dof, high, f) > probability and high < 1e7:
        low, high = high, 4 * high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if ncfdtr(dof, residual_dof, middle, f) > probability else (low, middle)
    return (low + high) / 2


def _first(fit: JointFit, seed: int) -> np.ndarray:
    """Return the fraction of draws of the coefficients in which each term explains the most, (terms,)."""
    covariance = fit.variance * (fit.inverse + fit.inverse.T) / 2
    values, vectors = np.linalg.eigh(covariance)
    normal = np.random.default_rng(seed).standard_normal((DRAWS, len(values)))
    draws = fit.coefficients + (normal * np.sqrt(np.maximum(values, 0))) @ vectors.T
    explained = []
    for index, here in enumerate(fit.slices):
        unique = _unique_covariance(fit, index)
        noise = 2 * np.trace(unique @ covariance[here, here])  # once of the estimate, once of the draw
        explained.append(np.einsum("di,ij,dj->d", draws[:, here], unique, draws[:, here]) - noise)
    return np.bincount(np.argmax(explained, axis=0), minlength=len(fit.slices)) / DRAWS


def _largest_contrast(fit: JointFit, index: int, alpha: float) -> dict[str, Any]:
    """Return the contrast between two values of a choice that is the largest in standard errors, better value first."""
    from scipy.special import fdtri

    points = value_points(fit.terms[index])
    contrasts = []
    for high in range(len(points)):
        for low in range(high):
            difference, error = fit.contrast(index, points[high].basis - points[low].basis)
            contrasts.append((abs(difference) / error if error > 0 else 0.0, difference, error, high, low))
    _, difference, error, high, low = max(contrasts)
    if difference < 0:
        difference, high, low = -difference, low, high
    dof = len(fit.coefficients[fit.slices[index]])
    half = float(np.sqrt(dof * fdtri(dof, fit.dof, 1 - alpha))) * error
    about = {"value": points[high].name, "against": points[low].name, "difference": difference}
    about |= {"designs": points[high].designs, "designs_against": points[low].designs}
    return about | {"low": max(difference - half, -1.0), "high": min(difference + half, 1.0)}


class ValuePoint:
    """A value of a choice, or a quantile of a number, in the model.

    Args:
        name: the value as text.
        basis: the term's columns there, float (p,).
        designs: number of designs with the value; of a number, in which the choice was active.
    """

    def __init__(self, name: str, basis: np.ndarray, designs: int) -> None:
        self.name, self.basis, self.designs = name, basis, designs


def value_points(term: Term) -> list[ValuePoint]:
    """Return the values of a choice that are compared; the first value of the space comes first."""
    given = term.given[term.active]
    if not term.levels:
        chosen = QUANTILES if len(term.centre) > 1 else (0.25, 0.75)
        numbers = np.unique(np.quantile(given, chosen))
        if len(numbers) < 2:
            numbers = np.array([given.min(), given.max()])
        names = formatting.distinct([float(10**number if term.log else number) for number in numbers])
        return [ValuePoint(name, row, len(given)) for name, row in zip(names, term.basis(numbers), strict=True)]
    order = list(range(len(term.levels)))
    first = next((term.levels.index(value) for value in term.choice.values if value in term.levels), 0)
    order.insert(0, order.pop(first))
    basis = term.basis(np.array(order, float))
    return [
        ValuePoint(formatting.value(term.levels[level]), row, int((given == level).sum()))
        for level, row in zip(order, basis, strict=True)
    ]
