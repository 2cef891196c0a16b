"""From a baseline to the best design, one change at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fer_search.report import formatting
from fer_search.report.statistics.additive import Fit, Term, fits
from fer_search.report.statistics.budgets import Comparison, of_design
from fer_search.report.statistics.inference import repeated_interval
from fer_search.report.tables.trials import CHOICE
from fer_search.runfolder.choices import Choice


class Step(NamedTuple):
    """A design on the way.

    Attributes:
        change: what was changed last, in words; the baseline's name at the start.
        accuracy: measured, or else the measured one before it plus what the additive model says; NaN where it cannot.
        low, high: the 95% interval (of the mean, ``statistics.repeated_interval``); NaN where it is not known.
        trials: those that measured it, a seed each; none where it is an estimate.
    """

    change: str
    accuracy: float
    low: float
    high: float
    trials: tuple[str, ...] = ()

    @property
    def known(self) -> str:
        """How it is known, in words."""
        if not self.trials:
            return "estimated"
        one = f"trial {self.trials[0]}" if len(self.trials) == 1 else f"{len(self.trials)} seeds, their mean"
        return f"measured, {one}"


def path(
    compared: Comparison, choices: Sequence[Choice], baselines: Sequence[str], images: int | None = None
) -> list[Step]:
    """Return the way from the first baseline that was measured to the best design.

    The change with the largest estimated gain comes first. A step is measured where some trial had that very design,
    and estimated from the additive model otherwise; a step changes one choice, with what it switches on or off.

    Args:
        compared: trials of equal budget, from ``compare.at_epochs``.
        choices: all choices of the space, in its order.
        baselines: names, the one to start from first.
        images: validation images, for the intervals of measured steps.

    Returns:
        The baseline, then a step a change to the best design; empty where there is no baseline, or it is best.
    """
    named = {row["name"]: row for _, row in compared.trials.dropna(subset="name").iloc[::-1].iterrows()}
    start = next((named[name] for name in baselines if name in named), None)
    if start is None or compared.trials.empty:
        return []
    best = compared.trials.iloc[0]
    columns = [CHOICE + c.name for c in choices if CHOICE + c.name in compared.trials]
    now, goal = _values(start, columns), _values(best, columns)
    changes = [column for column in columns if now[column] != goal[column]]
    if not changes:
        return []
    model = _Model(compared, choices)
    steps = [_measured(f"{start['name']}", of_design(compared.trials, now), images)]
    while changes:
        ways = {column: _with_dependents(column, now, goal, choices) for column in _allowed(changes, choices, now)}
        gains = {column: model.gain(now, after) for column, after in ways.items()}
        column = max(gains, key=lambda one: np.nan_to_num(gains[one][0], nan=-1.0))
        change = f"{formatting.label(column)} {formatting.value(goal[column])}, was {formatting.value(now[column])}"
        now = ways[column]
        changes = [one for one in changes if now[one] != goal[one]]
        same = of_design(compared.trials, now)
        steps.append(_measured(change, same, images) if len(same) else _estimated(change, steps[-1], gains[column]))
    return steps


class _Model:
    """The additive model, asked for single changes."""

    def __init__(self, compared: Comparison, choices: Sequence[Choice]) -> None:
        from fer_search.report.statistics.budgets import varied

        y = compared.trials[["accuracy"]].to_numpy(float)
        found = fits(compared.trials, varied(compared.trials, choices), y)
        self.terms: dict[str, tuple[Fit, int]] = {CHOICE + fit.terms[at].choice.name: (fit, at) for fit, at in found}

    def gain(self, now: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[float, float]:
        """Return what a change adds, and its standard error; NaN where the model does not know."""
        changed = [column for column in now if now[column] != after[column]]
        if not all(column in self.terms for column in changed):
            return float("nan"), float("nan")
        parts = []
        for column in changed:
            fit, at = self.terms[column]
            parts.append(fit.contrast(at, *(self._point(fit.terms[at], values[column]) for values in (after, now))))
        return float(sum(part[0][0] for part in parts)), float(np.hypot.reduce([part[1][0] for part in parts]))

    @staticmethod
    def _point(term: Term, value: Any) -> np.ndarray:
        if value is None:
            return np.zeros(len(term.centre))
        place = term.levels.index(value) if term.levels else np.log10(value) if term.log else float(value)
        return term.basis(np.array([place]))[0]


def _values(row: pd.Series, columns: Sequence[str]) -> dict[str, Any]:
    return {column: None if pd.isna(row[column]) else row[column] for column in columns}


def _allowed(changes: list[str], choices: Sequence[Choice], now: Mapping[str, Any]) -> list[str]:
    """Leave out what is not active yet: what switches it on comes before it."""
    values = {name.removeprefix(CHOICE): value for name, value in now.items()}
    active = {CHOICE + choice.name for choice in choices if choice.active(values)}
    return [column for column in changes if column in active or now[column] is not None] or changes


def _with_dependents(
    column: str, now: Mapping[str, Any], goal: Mapping[str, Any], choices: Sequence[Choice]
) -> dict[str, Any]:
    """Return the values after a change, with those of the choices that it switches on or off."""
    after = {**now, column: goal[column]}
    for choice in choices:  # a choice comes after those that it depends on
        name = CHOICE + choice.name
        if name in after and name != column:
            active = choice.active({key.removeprefix(CHOICE): value for key, value in after.items()})
            after[name] = (goal[name] if after[name] is None else after[name]) if active else None
    return after


def _measured(change: str, rows: pd.DataFrame, images: int | None) -> Step:
    mean, low, high = repeated_interval(rows["accuracy"].to_numpy(float), images)
    return Step(change, mean, low, high, tuple(map(str, rows["trial"])))


def _estimated(change: str, before: Step, gain: tuple[float, float]) -> Step:
    accuracy = before.accuracy + gain[0]
    known = np.nan_to_num((before.high - before.low) / 2)
    half = float(np.hypot(known, 1.96 * gain[1]))
    return Step(change, accuracy, accuracy - half, accuracy + half)
