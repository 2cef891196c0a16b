"""Comparing designs at the same number of epochs, and the values of a choice among them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from fer_search.report import formatting
from fer_search.report.statistics.inference import mean_interval, repeated_interval
from fer_search.report.tables.trials import CHOICE
from fer_search.runfolder.choices import MAX_LISTED_VALUES, Choice

MIN_DESIGNS = 3  # that a budget should have been reached by, to be compared at


class Comparison(NamedTuple):
    """Designs that may be compared.

    Attributes:
        trials: rows of ``load_designs`` with an accuracy, best first; ``accuracy`` is the best within ``epochs``.
        epochs: the budget; None where no learning curves are known, and the accuracies are the final ones.
        equal_time: whether designs are compared at the time of so many epochs of the default design (--equal-time).
        shorter: number of designs with a result that stopped before that epoch.
        failed: number of failed designs.
    """

    trials: pd.DataFrame
    epochs: int | None
    shorter: int
    failed: int
    equal_time: bool = False

    @property
    def at(self) -> str:
        """The budget in words; "" if there is none."""
        return "" if self.epochs is None else formatting.budget(self.epochs, self.equal_time)


class Level(NamedTuple):
    """The designs in which a choice had one value; ``low`` and ``high`` are the 95% interval of ``mean``."""

    value: object
    accuracy: np.ndarray
    mean: float
    low: float
    high: float


def in_budgets(curves: pd.DataFrame) -> pd.DataFrame:
    """Return learning curves whose epochs may be compared: with --equal-time, those of the default design.

    Args:
        curves: from ``load_epochs``.
    """
    return curves.assign(epoch=curves["budget"]) if "budget" in curves else curves


def common_epochs(designs: pd.DataFrame, curves: pd.DataFrame) -> int | None:
    """Return the largest number of epochs that enough designs reached; None where no learning curves are known.

    Enough is a third of them, and at least ``MIN_DESIGNS``, or all where there are fewer. Failed designs do not count.
    It is a number at which a design ended, if one has: where an unfinished trial stands says nothing.

    Args:
        designs: from ``load_designs``.
        curves: from ``load_epochs``.
    """
    kept = designs[designs["status"] != "failed"]
    last = in_budgets(curves).groupby("trial")["epoch"].max()
    reached = last.reindex(kept["trial"].astype(object)).dropna()
    if reached.empty:
        return None
    count = max(-(-len(reached) // 3), min(MIN_DESIGNS, len(reached)))
    budget = reached.sort_values(ascending=False).iloc[count - 1]
    ended = reached[kept.set_index("trial")["status"].reindex(reached.index) == "completed"]
    return int(max((epochs for epochs in ended if epochs <= budget), default=budget))


def at_epochs(
    designs: pd.DataFrame, curves: pd.DataFrame, epochs: int | None = None, images: int | None = None
) -> Comparison:
    """Return the designs with their best accuracy within the same number of epochs.

    Hyperband stops bad trials early: comparing final accuracies would compare budgets, not choices.

    Args:
        designs: from ``load_designs``.
        curves: from ``load_epochs``.
        epochs: the budget; ``common_epochs`` by default.
        images: number of validation images, for the intervals of designs with several seeds; None where unknown.
    """
    budget = common_epochs(designs, curves) if epochs is None else epochs
    equal_time, curves = "budget" in curves, in_budgets(curves)
    failed = designs["status"] == "failed"
    if budget is None:
        return Comparison(_sorted(designs[designs["accuracy"].notna()]), None, 0, int(failed.sum()))
    trial = designs["trial"].astype(object)
    reached = curves.groupby("trial")["epoch"].max()
    within = curves[curves["epoch"] <= budget].groupby("trial")["val_accuracy"].max()
    last, accuracy = trial.map(reached).astype(float), trial.map(within).astype(float)
    ends = designs[["accuracy", "low", "high"]].astype(float)
    for row in designs.index[designs["seeds"] > 1]:  # the mean over its seeds
        trials = [name for name in cast("list[str]", designs.at[row, "trials"]) if reached.get(name, 0) >= budget]
        seeds = within.reindex(trials).dropna().to_numpy(float)
        ends.loc[row] = repeated_interval(seeds, images) if len(seeds) else (np.nan,) * 3
        accuracy[row] = seeds.mean() if len(seeds) else np.nan
    kept = designs.assign(accuracy=accuracy, low=ends["low"], high=ends["high"])[
        (last >= budget) & ~failed & accuracy.notna()
    ]
    shorter = ~failed & ((last < budget) | ((last >= budget) & accuracy.isna()))  # or its first epoch ends later
    return Comparison(_sorted(kept), budget, int(shorter.sum()), int(failed.sum()), equal_time)


def level_of(trials: pd.DataFrame, choice: Choice) -> tuple[list[Any], np.ndarray]:
    """Return the values that a choice had and each row's index into them; no values for a number on a scale.

    Args:
        trials: rows of ``load_trials`` or ``load_designs``.
        choice: the choice.

    Returns:
        The values, in the space's order, numbers ascending; and the indices, float (n,), NaN where it was not active.

    Raises:
        KeyError: the table has no such choice.
    """
    codes, uniques = pd.factorize(trials[CHOICE + choice.name])
    values = uniques.tolist()
    numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    if numeric and not choice.values and (choice.kind in ("Int", "Float") or len(values) > MAX_LISTED_VALUES):
        return [], np.full(len(trials), np.nan)
    position = {value: index for index, value in enumerate(choice.values)}
    key = (lambda value: value) if numeric else lambda value: (position.get(value, len(position)), str(value))
    order = sorted(range(len(values)), key=lambda code: key(values[code]))
    indices = np.full(len(values) + 1, np.nan)  # the last one is for code -1, where it was not active
    indices[order] = np.arange(len(values))
    return [values[code] for code in order], indices[codes]


def on_scale(column: pd.Series, choice: Choice) -> tuple[np.ndarray, bool]:
    """Return a choice's numbers on the scale that the space samples on, NaN where inactive; and whether it is log10."""
    numbers = column.astype("Float64").to_numpy(float, na_value=np.nan)
    log = choice.log and not bool((numbers <= 0).any())
    return (np.log10(numbers) if log else numbers), log


def bins(trials: pd.DataFrame, choice: Choice, max_ranges: int = 5) -> tuple[list[str], np.ndarray]:
    """Return the names of a choice's values, or of up to ``max_ranges`` equally filled ranges, and each row's index.

    Args:
        trials: rows of ``load_trials`` or ``load_designs``.
        choice: the choice.
        max_ranges: maximum number of ranges for numbers on a scale.
    """
    values, places = level_of(trials, choice)
    if values or trials[CHOICE + choice.name].isna().all():
        return [formatting.value(value) for value in values], places
    numbers = trials[CHOICE + choice.name].astype("Float64").to_numpy(float, na_value=np.nan)
    known = numbers[~np.isnan(numbers)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, 1 + max(1, min(max_ranges, len(known) // 3)))))
    inner = edges[1:-1]
    ends = [f"{low} to {high}" for low, high in itertools.pairwise(formatting.distinct(edges.tolist()))]
    places = np.searchsorted(inner, numbers, side="right")
    full = np.unique(places[~np.isnan(numbers)])
    places = np.where(np.isnan(numbers), np.nan, np.searchsorted(full, places))
    return [ends[k] for k in full] if ends else [formatting.short(edges[0])], places


def levels(trials: pd.DataFrame, choice: Choice) -> list[Level] | None:
    """Return the accuracies for each value of a choice; None for numbers that are better drawn on a scale.

    Args:
        trials: from ``at_epochs(...).trials``; those in which the choice was not active are left out.
        choice: the choice.

    Raises:
        KeyError: the table has no such choice.
    """
    values, places = level_of(trials, choice)
    if not values and trials[CHOICE + choice.name].notna().any():
        return None
    accuracy = trials["accuracy"].to_numpy(float)
    groups = [accuracy[places == place] for place in range(len(values))]
    return [Level(value, group, *mean_interval(group)) for value, group in zip(values, groups, strict=True)]


def varied(trials: pd.DataFrame, choices: Sequence[Choice]) -> list[Choice]:
    """Return the choices that had at least two values in this table, including ones outside the space's list."""
    known = {choice.name: choice for choice in choices}
    names = [column.removeprefix(CHOICE) for column in trials.columns if column.startswith(CHOICE)]
    return [known.get(name, Choice(name)) for name in names if trials[CHOICE + name].nunique() > 1]


def of_design(trials: pd.DataFrame, values: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows with exactly these values of the choices.

    Args:
        trials: rows of ``load_trials`` or ``load_designs``.
        values: column of a choice -> value; None or <NA> where it is not active.
    """
    same = np.ones(len(trials), bool)
    for column, value in values.items():
        given = trials[column]
        same &= (given.isna() if pd.isna(value) else (given == value).fillna(False)).to_numpy(bool)
    return trials[same]


def _sorted(trials: pd.DataFrame) -> pd.DataFrame:
    return trials.sort_values(["accuracy", "order"], ascending=[False, True], ignore_index=True)
