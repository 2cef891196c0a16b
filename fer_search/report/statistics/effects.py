"""What a value of a choice adds, with its interval and a verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fer_search.report import formatting
from fer_search.report.statistics.additive import Fit, Term, fits
from fer_search.report.statistics.budgets import Comparison, recalls
from fer_search.report.statistics.inference import holm
from fer_search.runfolder.choices import Choice

LITTLE = 0.01  # a difference that is surely smaller than a point is called none
RECALL = "recall_"


def effects(
    compared: Comparison, choices: Sequence[Choice], curves: pd.DataFrame | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Estimate what each value of each choice adds to the accuracy, the other choices being the same.

    From the additive model of ``fer_search.report.statistics.additive``; of a choice with few values, each against the first in
    the space; of a number, its upper quartile against its lower one.

    Args:
        compared: trials of equal budget, from ``compare.at_epochs``.
        choices: the choices that varied, from ``compare.varied``.
        curves: from ``load_epochs``; with it, the same for each emotion's recall, in the epoch of the best accuracy.
        level: confidence of each interval.

    Returns:
        One row a comparison and response, with the columns ``choice``, ``value`` and ``against`` (in words), ``n`` and
        ``n_against`` (trials with either; of a number, the active ones), ``response`` ("accuracy", or the emotion),
        ``difference``, ``low``, ``high`` (shares: 0.01 is a point), ``p`` (of no difference, two-sided), ``sure``
        (bool, p below 1 - level after Holm's correction: over the rows of the accuracy, or over those of all emotions
        together; never where one trial alone had a value), ``alone`` (bool, fitted by itself because there were too few
        trials to fit all choices together) and ``verdict`` (in words).
    """
    names, y = _responses(compared, curves)
    rows = [row for fit, at in fits(compared.trials, choices, y) for row in _rows(fit, at, names, level)]
    columns = ["choice", "value", "against", "n", "n_against", "response", "difference", "low", "high", "p", "alone"]
    table = pd.DataFrame(rows, columns=columns)
    table["sure"] = _sure(table, 1 - level) if len(table) else False
    table["verdict"] = [_verdict(row) for _, row in table.iterrows()]
    return table


def _sure(table: pd.DataFrame, alpha: float) -> np.ndarray:
    found = np.zeros(len(table), bool)
    p = table["p"].where(~_single(table["n"], table["n_against"]), 1.0).to_numpy(float)
    for at in table.groupby(table["response"] == "accuracy").indices.values():
        found[at] = holm(p[at]) < alpha
    return found


def _single(n: Any, n_against: Any) -> Any:
    """Whether one trial alone stands for a value: what it has by luck would pass for the value's."""
    return np.minimum(n, n_against) < 2


def _responses(compared: Comparison, curves: pd.DataFrame | None) -> tuple[list[str], np.ndarray]:
    table = pd.DataFrame({"accuracy": compared.trials["accuracy"].astype(float)})
    if curves is not None:
        found = recalls(compared, curves)
        finite = found.loc[:, found.notna().all()] if len(found) else found
        table = pd.concat([table, finite.rename(columns=lambda name: name.removeprefix(RECALL))], axis=1)
    return list(table.columns), table.to_numpy(float)


def _rows(fit: Fit, at: int, names: list[str], level: float) -> list[dict]:
    from scipy.special import stdtr, stdtrit

    term, found = fit.terms[at], []
    for about, high, low in _comparisons(term):
        difference, error = fit.contrast(at, *term.basis(np.array([high, low])))
        half = stdtrit(fit.residual_dof, 0.5 + level / 2) * error
        with np.errstate(divide="ignore", invalid="ignore"):
            p = np.where(error > 0, 2 * stdtr(fit.residual_dof, -np.abs(difference) / error), 1.0)
        for k, name in enumerate(names):
            numbers = {"difference": difference[k], "low": difference[k] - half[k], "high": difference[k] + half[k]}
            found.append(about | {"response": name, "p": p[k], "alone": len(fit.terms) == 1} | numbers)
    return found


def _comparisons(term: Term) -> list[tuple[dict, float, float]]:
    """Return what is compared in words, and the two places or numbers of it."""
    name, given = term.choice.name, term.given[term.active]
    if not term.levels:
        low, high = np.quantile(given, [0.25, 0.75])
        value, against = (formatting.short(10**one if term.log else one) for one in (high, low))
        about = {"choice": name, "value": value, "against": against, "n": len(given), "n_against": len(given)}
        return [(about, high, low)]
    counts = [int((given == k).sum()) for k in range(len(term.levels))]
    spoken = [formatting.value(one) for one in term.levels]
    first = next((term.levels.index(one) for one in term.choice.values if one in term.levels), 0)
    base = {"choice": name, "against": spoken[first], "n_against": counts[first]}
    return [(base | {"value": spoken[k], "n": counts[k]}, k, first) for k in range(len(spoken)) if k != first]


def _verdict(row: pd.Series) -> str:
    if _single(row["n"], row["n_against"]):
        return "one trial cannot tell"
    if row["sure"]:
        return "better" if row["difference"] > 0 else "worse"
    if row["low"] > 0 or row["high"] < 0:
        return ("better" if row["difference"] > 0 else "worse") + " perhaps, or luck among so many comparisons"
    if max(-row["low"], row["high"]) < LITTLE:
        return "no difference of a point or more"
    return "too few trials to tell"


def in_words(row: pd.Series) -> str:
    """strided instead of max_pool: +0.4 points, 95% -0.3 to 1.1: too few trials to tell."""
    ends = f"{formatting.points(row['low'])} to {formatting.points(row['high'])}"
    name = formatting.label(row["choice"])
    what = f"{name} {row['value']} instead of {row['against']}"
    return f"{what}: {formatting.points(row['difference'])} points, 95% {ends}: {row['verdict']}"
