"""Comparing like with like: trials at the same number of epochs, and the values of a choice among them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fer_search.report import formatting
from fer_search.report.statistics.inference import mean_interval
from fer_search.report.tables.trials import CHOICE
from fer_search.runfolder.choices import MAX_LISTED_VALUES, Choice

MIN_DESIGNS = 8  # designs: with fewer, nothing can be told apart


class Comparison(NamedTuple):
    """Trials that may be compared.

    Attributes:
        trials: rows of ``load_trials`` with an accuracy, best first; ``accuracy`` is the best within ``epochs`` epochs.
        epochs: the budget; None where no learning curves are known, and the accuracies are the final ones.
        shorter: trials with a result that stopped before that epoch.
        failed: failed trials.
    """

    trials: pd.DataFrame
    epochs: int | None
    shorter: int
    failed: int


class Level(NamedTuple):
    """The trials in which a choice had one value; ``low`` and ``high`` are the 95% interval of ``mean``."""

    value: object
    accuracy: np.ndarray
    mean: float
    low: float
    high: float


def common_epochs(trials: pd.DataFrame, curves: pd.DataFrame) -> int | None:
    """Return the largest number of epochs that enough designs reached; None where no curves are known.

    Enough is a third of them, and ``MIN_DESIGNS`` or all of fewer. A trial and those that it went on from (Hyperband)
    count as one design; failed trials do not count.

    Args:
        trials: from ``load_trials``.
        curves: from ``load_epochs``.
    """
    ends = trials[(trials["status"] != "failed") & trials["went_on_as"].isna()]
    reached = curves.groupby("trial")["epoch"].max().reindex(ends["trial"].astype(object)).dropna()
    if reached.empty:
        return None
    count = max(-(-len(reached) // 3), min(MIN_DESIGNS, len(reached)))
    return int(reached.sort_values(ascending=False).iloc[count - 1])


def at_epochs(trials: pd.DataFrame, curves: pd.DataFrame, epochs: int | None = None) -> Comparison:
    """Return the trials with their best accuracy within the same number of epochs.

    Hyperband stops bad trials early: comparing its trials' final accuracies compares budgets, not choices. Of a trial
    and those that it went on from, the one that trained epoch ``epochs`` itself stands for the design.

    Args:
        trials: from ``load_trials``.
        curves: from ``load_epochs``.
        epochs: the budget; ``common_epochs`` by default.
    """
    budget = common_epochs(trials, curves) if epochs is None else epochs
    failed = trials["status"] == "failed"
    if budget is None:
        return Comparison(_sorted(trials[trials["accuracy"].notna()]), None, 0, int(failed.sum()))
    own = curves[~curves["inherited"].astype(bool)].groupby("trial")["epoch"].agg(["min", "max"])
    spans = own.reindex(trials["trial"].astype(object))
    trained = ((spans["min"] <= budget) & (budget <= spans["max"])).to_numpy()
    within = curves[curves["epoch"] <= budget].groupby("trial")["val_accuracy"].max()
    accuracy = trials["trial"].astype(object).map(within).astype(float)
    kept = trials.assign(accuracy=accuracy)[trained & ~failed & accuracy.notna()]
    shorter = ~failed & trials["went_on_as"].isna() & (spans["max"] < budget).to_numpy()
    return Comparison(_sorted(kept), budget, int(shorter.sum()), int(failed.sum()))


def recalls(compared: Comparison, curves: pd.DataFrame) -> pd.DataFrame:
    """Return each emotion's recall in the epoch of the best accuracy within the budget, a row for each trial compared.

    Args:
        compared: from ``at_epochs``.
        curves: from ``load_epochs``.

    Returns:
        The columns of ``curves`` that begin with "recall_", NaN where they are not known.
    """
    names = [name for name in curves.columns if name.startswith("recall_")]
    within = curves["val_accuracy"].notna()
    if compared.epochs is not None:
        within &= curves["epoch"] <= compared.epochs
    best = curves.loc[within, ["trial", "val_accuracy"]].groupby("trial")["val_accuracy"].idxmax()
    found = curves.loc[best, names].set_axis(best.index)
    return found.reindex(compared.trials["trial"].astype(object)).reset_index(drop=True)


def level_of(trials: pd.DataFrame, choice: Choice) -> tuple[list, np.ndarray]:
    """Return the values that a choice had and each trial's place among them; no values for a number on a scale.

    Args:
        trials: rows of ``load_trials``.
        choice: which.

    Returns:
        The values, in the space's order, numbers by size; and their places, float (n,), NaN where it was not active.

    Raises:
        KeyError: the table has no such choice.
    """
    codes, uniques = pd.factorize(trials[CHOICE + choice.name])
    found = uniques.tolist()
    numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in found)
    if numeric and not choice.values and (choice.kind in ("Int", "Float") or len(found) > MAX_LISTED_VALUES):
        return [], np.full(len(trials), np.nan)
    known = {value: place for place, value in enumerate(choice.values)}
    key = (lambda value: value) if numeric else lambda value: (known.get(value, len(known)), str(value))
    order = sorted(range(len(found)), key=lambda code: key(found[code]))
    places = np.full(len(found) + 1, np.nan)  # the last one is for -1, where it was not active
    places[order] = np.arange(len(found))
    return [found[code] for code in order], places[codes]


def on_scale(column: pd.Series, choice: Choice) -> tuple[np.ndarray, bool]:
    """Return a choice's numbers on the scale that the space samples on, NaN where inactive; and whether it is log10."""
    numbers = column.astype("Float64").to_numpy(float, na_value=np.nan)
    log = choice.log and not bool((numbers <= 0).any())
    return (np.log10(numbers) if log else numbers), log


def bins(trials: pd.DataFrame, choice: Choice, most: int = 5) -> tuple[list[str], np.ndarray]:
    """Return the values of a choice in words, numbers on a scale in up to ``most`` equally full ranges, and places.

    Args:
        trials: rows of ``load_trials``.
        choice: which.
        most: ranges at most.
    """
    found, places = level_of(trials, choice)
    if found or trials[CHOICE + choice.name].isna().all():
        return [formatting.value(one) for one in found], places
    numbers = trials[CHOICE + choice.name].astype("Float64").to_numpy(float, na_value=np.nan)
    known = numbers[~np.isnan(numbers)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, 1 + max(1, min(most, len(known) // 3)))))
    inner = edges[1:-1]
    ends = [f"{formatting.short(a)} to {formatting.short(b)}" for a, b in itertools.pairwise(edges)]
    places = np.searchsorted(inner, numbers, side="right")
    full = np.unique(places[~np.isnan(numbers)])
    places = np.where(np.isnan(numbers), np.nan, np.searchsorted(full, places))
    return [ends[k] for k in full] if ends else [formatting.short(edges[0])], places


def levels(trials: pd.DataFrame, choice: Choice) -> list[Level] | None:
    """Return the accuracies for each value of a choice; None for numbers that are better drawn on a scale.

    Args:
        trials: those to compare, from ``at_epochs(...).trials``; where the choice was not active, they are left out.
        choice: which.

    Raises:
        KeyError: the table has no such choice.
    """
    found, places = level_of(trials, choice)
    if not found and trials[CHOICE + choice.name].notna().any():
        return None
    accuracy = trials["accuracy"].to_numpy(float)
    groups = [accuracy[places == place] for place in range(len(found))]
    return [Level(value, group, *mean_interval(group)) for value, group in zip(found, groups, strict=True)]


def varied(trials: pd.DataFrame, choices: Sequence[Choice]) -> list[Choice]:
    """Return the choices that had at least two values among these trials, those outside the space's list included."""
    known = {choice.name: choice for choice in choices}
    names = [column.removeprefix(CHOICE) for column in trials.columns if column.startswith(CHOICE)]
    return [known.get(name, Choice(name)) for name in names if trials[CHOICE + name].nunique() > 1]


def of_design(trials: pd.DataFrame, values: Mapping[str, Any]) -> pd.DataFrame:
    """Return the trials of one very design: one, or one a seed.

    Args:
        trials: rows of ``load_trials``.
        values: column of a choice -> value; None or <NA> where it is not active.
    """
    same = np.ones(len(trials), bool)
    for column, value in values.items():
        given = trials[column]
        same &= (given.isna() if pd.isna(value) else (given == value).fillna(False)).to_numpy(bool)
    return trials[same]


def _sorted(trials: pd.DataFrame) -> pd.DataFrame:
    return trials.sort_values(["accuracy", "order"], ascending=[False, True], ignore_index=True)
