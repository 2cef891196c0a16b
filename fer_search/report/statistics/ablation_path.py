"""From a baseline to the best design, one change at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fer_search.report import formatting
from fer_search.report.statistics.budgets import Comparison, of_design
from fer_search.report.statistics.inference import repeated_interval
from fer_search.report.statistics.joint_model import JointFit
from fer_search.report.statistics.terms import Term
from fer_search.report.tables.trials import CHOICE
from fer_search.runfolder.choices import Choice


class Step(NamedTuple):
    """A design on the path.

    Attributes:
        change: the last change as text; the baseline's name at the start.
        accuracy: measured, or else the accuracy before it plus the joint model's effect; NaN where that is unknown.
        low, high: the 95% interval; NaN where it is not known.
        trials: ids of the trials that measured it; empty where it is an estimate.
        seeds: number of trainings that it is the mean of.
    """

    change: str
    accuracy: float
    low: float
    high: float
    trials: tuple[str, ...] = ()
    seeds: int = 1

    @property
    def source(self) -> str:
        """Where the accuracy comes from, as text."""
        if not self.trials:
            return "estimated"
        return f"measured, trial {self.trials[-1]}" if self.seeds == 1 else f"measured, mean of {self.seeds} seeds"


def ablation_path(
    compared: Comparison,
    fit: JointFit | None,
    choices: Sequence[Choice],
    baselines: Sequence[str],
    images: int | None = None,
) -> list[Step]:
    """Return the path from the first baseline that was measured to the best design.

    The change with the largest estimated gain comes first. A step is measured where some trial had exactly that design,
    and estimated from the joint model otherwise; a step changes one choice, with those that it switches on or off.

    Args:
        compared: designs at an equal budget, from ``budgets.at_epochs``.
        fit: from ``joint_model.fit_joint_model``; None where there are too few designs.
        choices: all choices of the space, in its order.
        baselines: their names, the one to start from first.
        images: number of validation images, for the intervals of measured steps.

    Returns:
        The baseline, then a step for each change; empty where there is no baseline, or it is the best design.
    """
    named = {row["name"]: row for _, row in compared.trials.dropna(subset="name").iloc[::-1].iterrows()}
    start = next((named[name] for name in baselines if name in named), None)
    if start is None or compared.trials.empty:
        return []
    best = compared.trials.iloc[0]
    columns = [CHOICE + choice.name for choice in choices if CHOICE + choice.name in compared.trials]
    now, goal = _values(start, columns), _values(best, columns)
    changes = [column for column in columns if now[column] != goal[column]]
    if not changes:
        return []
    model = _Gains(fit)
    steps = [_measured(f"{start['name']}", of_design(compared.trials, now), images)]
    while changes:
        candidates = {column: _changed(column, now, goal, choices) for column in _allowed(changes, choices, now)}
        gains = {column: model.gain(now, after) for column, after in candidates.items()}
        column = max(gains, key=lambda name: np.nan_to_num(gains[name][0], nan=-1.0))
        change = f"{formatting.label(column)} {formatting.value(goal[column])}, was {formatting.value(now[column])}"
        now = candidates[column]
        changes = [name for name in changes if now[name] != goal[name]]
        same = of_design(compared.trials, now)
        steps.append(_measured(change, same, images) if len(same) else _estimated(change, steps[-1], gains[column]))
    return steps


class _Gains:
    """The joint model's estimates for changes of a design."""

    def __init__(self, fit: JointFit | None) -> None:
        self.fit = fit
        terms = fit.terms if fit else []
        self.indices = {CHOICE + term.choice.name: index for index, term in enumerate(terms)}

    def gain(self, now: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[float, float]:
        """Return what a change adds, and its standard error; NaN where the model does not know."""
        changed = [column for column in now if now[column] != after[column]]
        if self.fit is None or not all(column in self.indices for column in changed):
            return float("nan"), float("nan")
        parts = []
        for column in changed:
            index = self.indices[column]
            high, low = (self._point(self.fit.terms[index], values[column]) for values in (after, now))
            if high is None or low is None:
                return float("nan"), float("nan")
            parts.append(self.fit.contrast(index, high - low))
        return float(sum(part[0] for part in parts)), float(np.hypot.reduce([part[1] for part in parts]))

    @staticmethod
    def _point(term: Term, value: Any) -> np.ndarray | None:
        if value is None:
            return np.zeros(len(term.centre))
        if term.levels and value not in term.levels:
            return None
        place = term.levels.index(value) if term.levels else np.log10(value) if term.log else float(value)
        point: np.ndarray = term.basis(np.array([place]))[0]
        return point


def _values(row: pd.Series, columns: Sequence[str]) -> dict[str, Any]:
    return {column: None if pd.isna(row[column]) else row[column] for column in columns}


def _allowed(changes: list[str], choices: Sequence[Choice], now: Mapping[str, Any]) -> list[str]:
    """Leave out the changes of choices that are not active yet: the choice that activates them comes first."""
    values = {name.removeprefix(CHOICE): value for name, value in now.items()}
    active = {CHOICE + choice.name for choice in choices if choice.active(values)}
    return [column for column in changes if column in active or now[column] is not None] or changes


def _changed(column: str, now: Mapping[str, Any], goal: Mapping[str, Any], choices: Sequence[Choice]) -> dict[str, Any]:
    """Return the values after a change, including those of the choices that it activates or deactivates."""
    after = {**now, column: goal[column]}
    for choice in choices:  # a choice comes after those that it depends on
        name = CHOICE + choice.name
        if name in after and name != column:
            active = choice.active({key.removeprefix(CHOICE): value for key, value in after.items()})
            after[name] = (goal[name] if after[name] is None else after[name]) if active else None
    return after


def _measured(change: str, rows: pd.DataFrame, images: int | None) -> Step:
    row = rows.iloc[0]
    accuracy, low, high, seeds = row["accuracy"], row["low"], row["high"], int(row["seeds"])
    if seeds == 1:  # the table's interval is of the accuracy after all epochs, this one of that at the budget
        accuracy, low, high = repeated_interval(np.array([accuracy]), images)
    return Step(change, accuracy, low, high, tuple(row["trials"]), seeds)


def _estimated(change: str, before: Step, gain: tuple[float, float]) -> Step:
    accuracy = before.accuracy + gain[0]
    half = float(np.hypot(np.nan_to_num((before.high - before.low) / 2), 1.96 * gain[1]))
    return Step(change, accuracy, max(accuracy - half, 0.0), min(accuracy + half, 1.0))
