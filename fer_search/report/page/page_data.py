"""What the page's script knows of a run: the table of its trials, their accuracies at each budget, and their curves.

The script draws, filters and sorts from it, so that the ten thousandth trial is as reachable as the first.
"""

from __future__ import annotations

import shlex
from bisect import bisect_right
from typing import Any

import numpy as np
import pandas as pd

from fer_search.report import formatting
from fer_search.report.page.ranking import Column
from fer_search.report.statistics.budgets import bins, level_of, recalls
from fer_search.report.statistics.effects import RECALL
from fer_search.report.tables.analysis import RunAnalysis
from fer_search.report.tables.trials import CHOICE

REPLACED = {"--tuner", "--baselines", "--repeats", "--max-trials", "--max-epochs", "--name"}  # of a run's command
SCALE = 10_000  # accuracies are whole numbers of a hundredth of a point; -1 for none


def page_table(analysis: RunAnalysis, columns: list[Column]) -> dict[str, Any]:
    """Return what the script knows, as JSON's types; every list is in the order of ``analysis.trials``.

    Args:
        analysis: the run.
        columns: of the ranking, from ``ranking.columns``.

    Returns:
        - "trial", "title", "status", "message": of each trial; "ended": whether no other trial went on from it;
        - "accuracy": budget -> accuracies; budget "any" has each trial's own best;
        - "choices": name, label, groups (names of its values or ranges), place (of each trial among them, -1 for none),
          ordered (whether they are numbers), and kind, values and log of the space;
        - "recalls": budget -> emotion -> of each trial, in the epoch of its accuracy at that budget, -1 for none;
        - "again": what its script makes of the command that trains one trial again; null where there is none;
        - "epochs": that each trial trained;
        - "columns": of the ranking: name, heading, kind, cells (markup) and values to sort by;
        - "curves": "val_accuracy", "accuracy" and "learning_rate" of each trial by epoch, null where there is none.
    """
    trials = analysis.trials
    return {
        "trial": trials["trial"].tolist(),
        "title": [formatting.title(row) for row in trials[["trial", "name"]].to_dict("records")],
        "status": trials["status"].tolist(),
        "message": trials["message"].astype(object).where(trials["message"].notna(), None).tolist(),
        "ended": trials["went_on_as"].isna().astype(int).tolist(),
        "accuracy": _accuracies(analysis),
        "recalls": {budget_name(budget): _recalls(analysis, budget) for budget in analysis.budgets},
        "choices": [_choice(analysis, choice) for choice in analysis.varied],
        "given": {
            name.removeprefix(CHOICE): _plain(trials[name]) for name in trials.columns if name.startswith(CHOICE)
        },
        "again": _again(analysis),
        "epochs": _plain(trials["epochs"]),
        "columns": [
            {
                "name": column.name,
                "heading": column.heading,
                "kind": column.kind,
                "cells": column.cells,
                "values": _plain(column.values),
            }
            for column in columns
        ],
        "curves": _curves(analysis),
    }


def _again(analysis: RunAnalysis) -> dict[str, Any] | None:
    """The run's own command as a search of one trial, without its name, epochs and choices, which the script adds."""
    lines = analysis.info.command.splitlines()
    try:
        given = shlex.split(lines[0]) if lines else []
    except ValueError:  # no command of a shell
        given = []
    if not given:
        return None
    kept, value = [], False
    for part in given:
        name, equals, _ = part.partition("=")
        if not value and name not in REPLACED:
            kept.append(part)
        value = not value and name in REPLACED and not equals
    held = [choice.name for choice in analysis.info.choices if choice.kind == "Fixed"]
    return {
        "command": f"{shlex.join(kept)} --tuner random --baselines none --max-trials 1",
        "name": analysis.info.name,
        "held": [*held, *(analysis.info.settings.get("fix") or {})],
    }


def budget_name(budget: int | None) -> str:
    """Return a budget as the page's script names it."""
    return "any" if budget is None else str(budget)


def _accuracies(analysis: RunAnalysis) -> dict[str, list[int]]:
    found = {"any": _whole(analysis.trials["accuracy"])}
    for budget in analysis.budgets:
        if budget is not None:
            at = analysis.compared(budget).trials.set_index("trial")["accuracy"]
            found[budget_name(budget)] = _whole(analysis.trials["trial"].astype(object).map(at))
    return found


def _recalls(analysis: RunAnalysis, budget: int | None) -> dict[str, list[int]]:
    compared = analysis.compared(budget)
    found = recalls(compared, analysis.curves).set_index(compared.trials["trial"].astype(object))
    every = found.reindex(analysis.trials["trial"].astype(object))
    return {str(name).removeprefix(RECALL): _whole(every[name]) for name in every if every[name].notna().any()}


def _whole(shares: pd.Series) -> list[int]:
    return (shares.astype(float) * SCALE).round().fillna(-1).astype(int).tolist()


def _choice(analysis: RunAnalysis, choice: Any) -> dict[str, Any]:
    scored, values = analysis.trials["accuracy"].notna(), analysis.trials[CHOICE + choice.name]
    groups, places = bins(analysis.trials[scored], choice)
    place = np.full(len(analysis.trials), -1)
    place[scored.to_numpy()] = np.where(np.isnan(places), -1, places).astype(int)
    known = {value: at for value, at in zip(values[scored], place[scored], strict=True) if at >= 0}
    place[~scored] = _places(values[~scored], known, not level_of(analysis.trials[scored], choice)[0])
    ordered = bool(pd.api.types.is_numeric_dtype(analysis.trials[CHOICE + choice.name])) and len(groups) > 2
    label = formatting.label(choice.name)
    space = {"kind": choice.kind, "values": list(choice.values), "log": choice.log}
    shown = {"name": choice.name, "label": label, "groups": groups, "place": place.tolist(), "ordered": ordered}
    return shown | space


def _places(values: pd.Series, known: dict, ranges: bool) -> list[int]:
    """Return the places of trials without a result, so that a filter finds them: of the same value, or number below."""
    numbers = sorted(known) if ranges else []

    def place(value: Any) -> int:
        if pd.isna(value):
            return -1
        return known[numbers[max(0, bisect_right(numbers, value) - 1)]] if ranges else known.get(value, -1)

    return [place(value) for value in values]


def _plain(values: pd.Series) -> list:
    return [None if missing else value for value, missing in zip(values.tolist(), values.isna(), strict=True)]


def _curves(analysis: RunAnalysis) -> dict[str, list]:
    names = ("val_accuracy", "accuracy", "learning_rate")
    curves, place = analysis.curves, {trial: at for at, trial in enumerate(analysis.trials["trial"])}
    found: dict[str, list] = {name: [None] * len(place) for name in names}
    for name in names:
        column = curves[name].astype(float)
        if column.isna().all():
            continue
        whole = name != "learning_rate"
        numbers = (column * SCALE).round().fillna(-1).astype(int) if whole else column.map(_digits)
        values = numbers.tolist()
        for trial, at in curves.groupby("trial", sort=False).indices.items():
            if str(trial) in place:
                found[name][place[str(trial)]] = values[at[0] : at[-1] + 1]  # a trial's rows stand together
    return found


def _digits(number: float) -> float | None:
    return float(f"{number:.3g}") if number == number else None
