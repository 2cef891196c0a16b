"""The data of the page's script: the table of designs, their accuracies at each budget, and their curves.

The script draws, filters and sorts from it, so that the ten thousandth design is as reachable as the first.
"""

from __future__ import annotations

import shlex
from bisect import bisect_right
from typing import Any

import numpy as np
import pandas as pd

from fer_search.report import formatting
from fer_search.report.page.ranking import Column
from fer_search.report.statistics.budgets import bins, level_of
from fer_search.report.tables.analysis import RunAnalysis
from fer_search.report.tables.trials import CHOICE
from fer_search.runfolder.choices import Choice

REPLACED = {"--tuner", "--baselines", "--repeats", "--max-trials", "--max-epochs", "--name"}  # of a run's command
SCALE = 10_000  # accuracies are integers in units of 0.01 points; -1 where unknown


def page_table(analysis: RunAnalysis, columns: list[Column]) -> dict[str, Any]:
    """Return the script's data as JSON types; every list is in the order of ``analysis.designs``.

    Args:
        analysis: the run.
        columns: of the ranking, from ``ranking.columns``.

    Returns:
        - "trial", "title", "status", "message": of each design; "rows": trial id -> row, for all trials;
        - "accuracy": budget -> accuracies; budget "any" has each design's best;
        - "choices": name, label, groups (names of its values or ranges), place (index of each design's group, -1 for
          none), ordered (whether they are numbers), and kind, values and log of the space;
        - "given": choice -> values;
        - "again": the command that trains one design again, without its choices; null where it is unknown;
        - "equal_time": whether budgets are times, given as epochs of the default design;
        - "epochs": trained; "notes", "tags": the user's, of each design;
        - "columns": of the ranking: name, heading, kind, cells (markup) and values to sort by;
        - "curves": "val_accuracy", "accuracy" and "learning_rate" of each design by epoch, null where unknown.
    """
    designs = analysis.designs
    notes = [[analysis.notes[trial] for trial in trials if trial in analysis.notes] for trials in designs["trials"]]
    return {
        "trial": designs["trial"].tolist(),
        "rows": {trial: row for row, trials in enumerate(designs["trials"]) for trial in trials},
        "title": [formatting.title(row) for row in designs[["trial", "name"]].to_dict("records")],
        "status": designs["status"].tolist(),
        "message": designs["message"].astype(object).where(designs["message"].notna(), None).tolist(),
        "accuracy": _accuracies(analysis),
        "choices": [_choice(analysis, choice) for choice in analysis.varied],
        "given": {
            name.removeprefix(CHOICE): _plain(designs[name]) for name in designs.columns if name.startswith(CHOICE)
        },
        "again": _again(analysis),
        "equal_time": analysis.equal_time,
        "epochs": _plain(designs["epochs"]),
        "notes": [[text for note in row for text in note.texts] for row in notes],
        "tags": [list(dict.fromkeys(tag for note in row for tag in note.tags)) for row in notes],
        "columns": [{**column._asdict(), "values": _plain(column.values)} for column in columns],
        "curves": _curves(analysis),
    }


def budget_name(budget: int | None) -> str:
    """Return the script's name of a budget."""
    return "any" if budget is None else str(budget)


def _again(analysis: RunAnalysis) -> dict[str, Any] | None:
    """Return the run's command as a search of one trial, without name, epochs and choices, which the script adds."""
    lines = analysis.info.command.splitlines()
    try:
        words = shlex.split(lines[0]) if lines else []
    except ValueError:  # not a shell command
        words = []
    if not words:
        return None
    kept, is_value = [], False
    for word in (word for word in words if word != "--equal-time"):  # "epochs" are the design's own
        name, equals, _ = word.partition("=")
        if not is_value and name not in REPLACED:
            kept.append(word)
        is_value = not is_value and name in REPLACED and not equals
    fixed = [choice.name for choice in analysis.info.choices if choice.kind == "Fixed"]
    return {
        "command": f"{shlex.join(kept)} --tuner random --baselines none --max-trials 1",
        "name": analysis.info.name,
        "held": [*fixed, *(analysis.info.settings.get("fix") or {})],
    }


def _accuracies(analysis: RunAnalysis) -> dict[str, list[int]]:
    accuracies = {"any": _integers(analysis.designs["accuracy"])}
    for budget in analysis.budgets:
        if budget is not None:
            by_trial = analysis.compared(budget).trials.set_index("trial")["accuracy"]
            accuracies[budget_name(budget)] = _integers(analysis.designs["trial"].astype(object).map(by_trial))
    return accuracies


def _integers(fractions: pd.Series) -> list[int]:
    return (fractions.astype(float) * SCALE).round().fillna(-1).astype(int).tolist()


def _choice(analysis: RunAnalysis, choice: Choice) -> dict[str, Any]:
    designs = analysis.designs
    scored, values = designs["accuracy"].notna(), designs[CHOICE + choice.name]
    groups, indices = bins(designs[scored], choice)
    place = np.full(len(designs), -1)
    place[scored.to_numpy()] = np.where(np.isnan(indices), -1, indices).astype(int)
    known = {value: group for value, group in zip(values[scored], place[scored], strict=True) if group >= 0}
    place[~scored] = _places(values[~scored], known, not level_of(designs[scored], choice)[0])
    ordered = bool(pd.api.types.is_numeric_dtype(values)) and len(groups) > 2
    shown = {"name": choice.name, "label": formatting.label(choice.name), "groups": groups, "place": place.tolist()}
    return shown | {"ordered": ordered, "kind": choice.kind, "values": list(choice.values), "log": choice.log}


def _places(values: pd.Series, known: dict[Any, int], ranges: bool) -> list[int]:
    """Return the groups of designs without a result, for the filter: of the same value, or the next lower number."""
    numbers = sorted(known) if ranges else []

    def place(value: Any) -> int:
        if pd.isna(value) or (ranges and not numbers):
            return -1
        return known[numbers[max(0, bisect_right(numbers, value) - 1)]] if ranges else known.get(value, -1)

    return [place(value) for value in values]


def _plain(values: pd.Series) -> list[Any]:
    return [None if missing else value for value, missing in zip(values.tolist(), values.isna(), strict=True)]


def _curves(analysis: RunAnalysis) -> dict[str, list[Any]]:
    names = ("val_accuracy", "accuracy", "learning_rate")
    curves, rows = analysis.curves, {trial: row for row, trial in enumerate(analysis.designs["trial"])}
    result: dict[str, list[Any]] = {name: [None] * len(rows) for name in names}
    for name in names:
        column = curves[name].astype(float)
        if column.isna().all():
            continue
        if name == "learning_rate":
            values = column.map(_three_digits).tolist()
        else:
            values = (column * SCALE).round().fillna(-1).astype(int).tolist()
        for trial, index in curves.groupby("trial", sort=False).indices.items():
            if str(trial) in rows:
                result[name][rows[str(trial)]] = values[index[0] : index[-1] + 1]  # a trial's rows are contiguous
    return result


def _three_digits(number: float) -> float | None:
    return float(f"{number:.3g}") if number == number else None
