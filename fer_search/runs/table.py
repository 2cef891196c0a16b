"""The trials of a run as a table, filtered by conditions."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table

from fer_search.errors import UserError
from fer_search.report import load_trials
from fer_search.report.formatting import count, label, percent, reason, value, with_interval
from fer_search.report.tables.outcomes import outcomes_of
from fer_search.report.tables.trials import CHOICE
from fer_search.runfolder.run_json import load_run

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
CONDITION = re.compile(r"\s*([\w .-]+?)\s*(<=|>=|!=|==|=|<|>)\s*(.*?)\s*")
FIXED_WIDTH = 62  # characters of the columns before the choices
MIN_CHOICES_WIDTH = 40  # characters of the column that the choices share; in less, words would break
MAX_CHOICE_COLUMNS = 8  # with more, the choices share one column
BOOLEAN_WORDS = {"yes": "true", "no": "false"}


def select_trials(run: Path, where: Sequence[str], top: int | None) -> pd.DataFrame:
    """Return rows of ``fer_search.report.load_trials``, best first, with the status as ``outcomes_of`` gives it.

    Args:
        run: Run folder.
        where: Conditions such as "downsample=strided" or "accuracy>=0.6", all of which must hold; a choice that is not
            active in a trial meets none.
        top: Number of trials to return; None for all.

    Raises:
        UserError: The run cannot be read, or a condition names an unknown column.
    """
    trials = load_trials(run)
    trials = trials.assign(status=outcomes_of(load_run(run), trials))
    for condition in where:
        trials = trials[_holds(trials, condition)]
    return trials if top is None else trials.head(top)


def _holds(trials: pd.DataFrame, condition: str) -> pd.Series:
    match = CONDITION.fullmatch(condition)
    if not match:
        raise UserError(f"--where must be NAME=VALUE (or !=, <, <=, >, >=), not {condition!r}")
    name, sign, wanted = match.groups()
    column = _column(trials, name)
    known = column.notna()
    if sign in ("=", "==", "!="):
        text = column.map(_as_text)
        equal = text.map(lambda given: _equal(given, wanted))
        return known & (equal if sign != "!=" else ~equal)
    numbers = pd.to_numeric(column, errors="coerce")
    try:
        compared: pd.Series = COMPARISONS[sign](numbers, float(wanted))
        return known & compared.fillna(False).astype(bool)
    except ValueError as error:
        raise UserError(f"--where {condition}: {wanted!r} is not a number") from error


def _column(trials: pd.DataFrame, name: str) -> pd.Series:
    for column in (CHOICE + name, name, CHOICE + name.replace(" ", "_")):
        if column in trials:
            return trials[column]
    choices = [c.removeprefix(CHOICE) for c in map(str, trials) if c.startswith(CHOICE)]
    raise UserError(
        f"--where: there is no {name!r}; there are {', '.join(choices)}, status, accuracy, parameters, seconds"
    )


def _as_text(given: Any) -> str:
    return "" if pd.api.types.is_scalar(given) and pd.isna(given) else str(given).lower()


def _equal(given: str, wanted: str) -> bool:
    wanted = BOOLEAN_WORDS.get(wanted.lower(), wanted.lower())
    try:
        return abs(float(given) - float(wanted)) <= 1e-3 * abs(float(wanted))  # 0.0012 finds 0.00120034
    except ValueError:
        return given == wanted


def trials_table(trials: pd.DataFrame, width: int = 240) -> Table:
    """Return the trials with the choices that vary: a column each, or all in one column if they do not fit.

    Args:
        trials: From ``load_trials``.
        width: Number of characters in a line; no word is broken where it is at least 80.
    """
    choices = [c for c in map(str, trials) if c.startswith(CHOICE) and trials[c].astype(str).nunique() > 1]
    widths = [max(len(label(c)), *(len(value(entry)) for entry in trials[c])) + 2 for c in choices]
    beside = len(choices) <= MAX_CHOICE_COLUMNS and sum(widths) <= width - FIXED_WIDTH
    columns = [*map(label, choices)] if beside else ["choices"] * (width - FIXED_WIDTH >= MIN_CHOICES_WIDTH)
    hint = None if columns or not choices else "A wider terminal shows the choices; fer-search show RUN TRIAL does too."
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1), caption=hint, caption_justify="left")
    for name in ("trial", "name", "accuracy", "epochs", "parameters"):
        table.add_column(name, no_wrap=name != "name", overflow="fold")
    for name in columns:
        table.add_column(name, no_wrap=beside, overflow="fold")
    table.add_column("", overflow="fold")
    for _, row in trials.iterrows():
        cells = [value(row[c]) for c in choices] if beside else []
        if columns and not beside:
            cells = [", ".join(f"{label(c)} {value(row[c])}" for c in choices if not pd.isna(row[c]))]
        table.add_row(*_result(row), *cells, _outcome(row))
    return table


def _result(row: pd.Series) -> tuple[str, ...]:
    accuracy = percent(row["accuracy"]) if pd.isna(row["low"]) else with_interval(row)
    name = "" if pd.isna(row["name"]) else str(row["name"])
    epochs = "" if pd.isna(row["epochs"]) else str(row["epochs"])
    return str(row["trial"]), name, accuracy, epochs, count(row["parameters"])


def _outcome(row: pd.Series) -> str:
    if row["status"] == "failed" and not pd.isna(row["message"]):
        return f"failed: {reason(row['message'])}"
    return "" if row["status"] == "completed" else str(row["status"])


def trials_as_json(trials: pd.DataFrame) -> str:
    """Return the trials as a JSON list of objects with the columns of ``load_trials``; missing values are null."""
    return trials.to_json(orient="records")
