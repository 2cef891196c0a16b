"""A choice as columns of a linear model: a step for each value, or a polynomial of a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fer_search.report.statistics.budgets import level_of, on_scale
from fer_search.report.tables.trials import CHOICE
from fer_search.runfolder.choices import Choice

MIN_DISTINCT_FOR_QUADRATIC = 8  # a number with fewer distinct values gets a line instead of a parabola


class Term(NamedTuple):
    """One choice in the model.

    Attributes:
        choice: the choice.
        levels: its values, where it has a step for each; empty for a number on a scale.
        columns: float (designs, p), centred over the designs in which the choice was active and 0 in the others, so
            that the effect of the choice that switches it on is not biased.
        active: bool (designs,), where the choice was active.
        given: float (designs,), the level's index, or the number on its scale; NaN where it was not active.
        centre: float (p,), subtracted from the columns.
        location: mean and standard deviation of the number on its scale.
        log: whether that scale is log10.
    """

    choice: Choice
    levels: list[Any]
    columns: np.ndarray
    active: np.ndarray
    given: np.ndarray
    centre: np.ndarray
    location: tuple[float, float] = (0.0, 1.0)
    log: bool = False

    def basis(self, given: np.ndarray) -> np.ndarray:
        """Return the columns for these level indices or numbers on the scale, float (len(given), p)."""
        columns = _columns(np.asarray(given, float), len(self.levels), len(self.centre), self.location)
        centred: np.ndarray = columns - self.centre
        return centred


def make_terms(designs: pd.DataFrame, choices: Sequence[Choice], max_columns: int) -> list[Term]:
    """Return the terms of all choices that varied; simpler ones where the full ones have too many columns.

    Args:
        designs: one row a design.
        choices: the choices, in the space's order.
        max_columns: number of columns that the designs can support. Beyond it a number with few values becomes a
            straight line (one column) instead of a step for each value.
    """
    terms = [term for choice in choices if (term := make_term(designs, choice)) is not None]
    if sum(term.columns.shape[1] for term in terms) > max_columns:
        terms = [term for choice in choices if (term := make_term(designs, choice, simple=True)) is not None]
    return terms


def make_term(designs: pd.DataFrame, choice: Choice, simple: bool = False) -> Term | None:
    """Return the term of a choice; None where it had one value.

    Args:
        designs: one row a design.
        choice: the choice.
        simple: whether every number is a straight line.
    """
    column = designs[CHOICE + choice.name]
    active = column.notna().to_numpy()
    levels, given = level_of(designs, choice)
    numeric = all(isinstance(level, (int, float)) and not isinstance(level, bool) for level in levels)
    location, size, log = (0.0, 1.0), max(len(levels) - 1, 0), False
    if not levels or (simple and numeric and len(levels) > 2):
        levels = []
        given, log = on_scale(column, choice)
        known = given[active]
        if len(known) < 3 or np.ptp(known) == 0:
            return None
        location = float(known.mean()), float(known.std())
        size = 2 if not simple and len(np.unique(known)) >= MIN_DISTINCT_FOR_QUADRATIC else 1
    if size < 1:
        return None
    columns = _columns(given, len(levels), size, location)
    centre = columns[active].mean(axis=0)
    columns = np.where(active[:, None], columns - centre, 0.0)
    return Term(choice, levels, columns, active, given, centre, location, log)


def _columns(given: np.ndarray, levels: int, size: int, location: tuple[float, float]) -> np.ndarray:
    if levels:
        shown: np.ndarray = (given[:, None] == np.arange(1, levels)).astype(float)
        return shown
    z = np.nan_to_num((given - location[0]) / location[1])
    return np.stack([z, z * z], axis=1)[:, :size]
