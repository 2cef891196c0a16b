"""One row a design: the rungs that Hyperband trained it on are one training, and its seeds are averaged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from fer_search.report.statistics.inference import indistinguishable_from_best, pooled_deviation, repeated_interval
from fer_search.report.tables.trials import CHOICE, METRICS, load_trials, rank_trials
from fer_search.runfolder.objective import ACCURACY, Objective
from fer_search.runfolder.run_json import load_run

ORDER = {"completed": 0, "running": 1, "failed": 2}


def load_designs(run: str | Path) -> pd.DataFrame:
    """Return the table of a run's designs, best first.

    Args:
        run: the run folder, or a project folder of stock Keras Tuner.

    Returns:
        One row a design, with the columns of ``load_trials`` and

        - ``seeds`` (Int64): number of its trainings with a result;
        - ``trials`` (object): tuple of the ids of all its trials, in the order in which they were started.

        ``trial`` is the last trial of its best training. ``accuracy`` and the other metrics are of the best epoch over
        all rungs, averaged over the seeds that were trained for the most epochs; ``low`` and ``high`` then include what
        another seed would change. ``seconds`` is the total over all its trials.

    Raises:
        UserError: the folder is missing or not a run, or a file in it is broken.
    """
    info = load_run(run)
    return build_designs(load_trials(run), info.validation, info.objective)


def build_designs(trials: pd.DataFrame, validation: int | None, objective: Objective = ACCURACY) -> pd.DataFrame:
    """Return the table of ``load_designs``.

    Args:
        trials: from ``load_trials``.
        validation: number of validation images; None where it is not known.
        objective: what the run optimised.
    """
    designs: dict[int, list[dict[str, Any]]] = {}
    keys = dict(zip(trials["trial"].astype(str), design_keys(trials), strict=True))
    for training in _trainings(trials, objective):
        designs.setdefault(keys[training["trial"]], []).append(training)
    rows = [_design(trainings, validation, objective) for trainings in designs.values()]
    table = pd.DataFrame(rows, columns=[*trials.columns, "seeds", "trials"])
    table = table.astype({**trials.dtypes.to_dict(), "seeds": "Int64"})
    completed = table["accuracy"].where(table["status"] == "completed")
    if validation and len(table):
        table["indistinguishable_from_best"] = indistinguishable_from_best(
            *(completed.to_numpy(float), validation),
            seeds=table["seeds"].to_numpy(float, na_value=1.0),
            deviation=pooled_deviation([_accuracies(_kept(trainings)) for trainings in designs.values()]),
        )
    return rank_trials(table, objective=objective)


def build_trainings(trials: pd.DataFrame, objective: Objective = ACCURACY) -> pd.DataFrame:
    """Return one row a training, with its best epoch over all rungs: the columns of ``load_trials``, and ``trials``.

    Args:
        trials: from ``load_trials``.
        objective: what the run optimised.
    """
    table = pd.DataFrame(_trainings(trials, objective), columns=[*trials.columns, "trials"])
    return table.astype(trials.dtypes.to_dict())


def _trainings(trials: pd.DataFrame, objective: Objective) -> list[dict[str, Any]]:
    rows = cast("list[dict[str, Any]]", trials.to_dict("records"))
    records = {str(row["trial"]): row for row in rows}
    ends = [row for row in rows if pd.isna(row["went_on_as"]) or row["went_on_as"] not in records]
    return [_training(row, records, objective) for row in ends]


def design_keys(trials: pd.DataFrame) -> np.ndarray:
    """Return a number for each trial, equal for trials with the same values of all choices, int (n,).

    Without any choice every trial is a design of its own.
    """
    columns = [column for column in trials.columns if column.startswith(CHOICE)]
    if not columns or trials.empty:
        return np.arange(len(trials))
    codes = np.stack([pd.factorize(trials[column])[0] for column in columns], axis=1)
    return np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1)


def _training(end: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]], objective: Objective) -> dict[str, Any]:
    """Return one training as a row: a trial with the rungs before it."""
    chain = [dict(end)]
    while not pd.isna(chain[0]["parent"]) and chain[0]["parent"] in records and len(chain) <= len(records):
        chain.insert(0, dict(records[chain[0]["parent"]]))
    usable = [row for row in chain if row["status"] != "failed"] or chain
    row = dict(usable[-1])
    scored = [one for one in usable if not pd.isna(one["accuracy"])]
    if scored:
        best = max(scored, key=lambda one: _gain(one, objective))
        row |= {name: best[name] for name in ("accuracy", "score", "low", "high", "best_epoch", *METRICS)}
    seconds = [one["seconds"] for one in chain if not pd.isna(one["seconds"])]
    row |= {"seconds": sum(seconds) if seconds else float("nan"), "order": chain[0]["order"]}
    row |= {"name": chain[0]["name"], "parent": None, "went_on_as": None, "seeds": 1}
    return row | {"trials": tuple(str(one["trial"]) for one in chain)}


def _gain(row: Mapping[str, Any], objective: Objective) -> float:
    """Return the value of the objective, negated if less is better; -infinity if there is none."""
    value = row["accuracy"] if objective == ACCURACY else row["score"]
    return float("-inf") if pd.isna(value) else float(objective.sign * value)


def _design(trainings: list[dict[str, Any]], validation: int | None, objective: Objective) -> dict[str, Any]:
    """Return one design as a row: its trainings with different seeds averaged."""
    trainings = sorted(trainings, key=lambda row: row["order"])
    kept = _kept(trainings)
    best = max(kept, key=lambda one: _gain(one, objective))
    row = dict(best)
    if len(trainings) == 1:
        return row
    row["trials"] = tuple(trial for one in trainings for trial in one["trials"])
    row["order"] = min(one["order"] for one in trainings)
    row["seconds"] = float(np.nansum([one["seconds"] for one in trainings]))
    row["name"] = next((one["name"] for one in trainings if not pd.isna(one["name"])), row["name"])
    accuracies = _accuracies(kept)
    row["seeds"] = max(len(accuracies), 1)
    if len(accuracies) > 1:
        row["accuracy"], row["low"], row["high"] = repeated_interval(accuracies, validation)
        for name in (*METRICS, "score"):
            row[name] = float(np.mean([one[name] for one in kept if not pd.isna(one[name])] or [np.nan]))
    return row


def _kept(trainings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the trainings of a design that are averaged: of the best status, those for the most epochs."""
    status = min((row["status"] for row in trainings), key=lambda name: ORDER[name])
    kept = [row for row in trainings if row["status"] == status]
    longest = max((int(row["epochs"]) for row in kept if not pd.isna(row["epochs"])), default=0)
    return [row for row in kept if pd.isna(row["epochs"]) or row["epochs"] == longest]


def _accuracies(trainings: list[dict[str, Any]]) -> np.ndarray:
    return np.array([one["accuracy"] for one in trainings if not pd.isna(one["accuracy"])], float)
