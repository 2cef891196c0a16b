"""A run folder -> the table of its trials."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fer_search.report.statistics.inference import indistinguishable_from_best, wilson_interval
from fer_search.report.tables.curves import read_curves
from fer_search.runfolder.choices import Choice, active_values
from fer_search.runfolder.objective import ACCURACY, Objective
from fer_search.runfolder.run_json import RunInfo, load_run
from fer_search.runfolder.trial_files import TrialRecord, best_observation, infer_objective, read_trial_records
from fer_search.tuner_entries import BRACKET, EPOCHS, ROUND

CHOICE = "choice."  # before the name of a choice in a column of the table
METRICS = ("balanced_accuracy", "macro_f1", "clean_accuracy")  # of the epoch with the best validation accuracy
RECALL = "recall_"  # before the name of a class in a column of epochs.csv
TYPES = {
    **dict.fromkeys(("trial", "name", "status", "message", "parent", "went_on_as"), "string"),
    **dict.fromkeys(("accuracy", "low", "high", *METRICS, "score", "seconds"), "float64"),
    **dict.fromkeys(("order", "epochs", "best_epoch", "parameters", "flops", "bracket", "round"), "Int64"),
    "indistinguishable_from_best": "bool",
}
COLUMNS = (
    *("order", "trial", "name", "status", "accuracy", "low", "high", "indistinguishable_from_best"),
    *("balanced_accuracy", "macro_f1", "best_epoch", "epochs", "seconds", "clean_accuracy", "score"),
    *("parameters", "flops", "message", "bracket", "round", "parent", "went_on_as"),
)


def load_trials(run: str | Path) -> pd.DataFrame:
    """Return the table of a run's trials, best first.

    Completed trials come first, then unfinished ones, then failed ones; a missing value is NaN or <NA>.

    Args:
        run: the run folder, or a project folder of stock Keras Tuner.

    Returns:
        One row a trial, with the columns

        - ``order`` (Int64): 1 for the trial that was started first.
        - ``trial`` (string): its id; its folder is ``trial_ID``.
        - ``name`` (string): name of the baseline that it is; <NA> for the tuner's own proposals.
        - ``status`` (string): "completed", "running" (or interrupted) or "failed".
        - ``accuracy`` (float64): validation accuracy of the best epoch, from 0 to 1; of a running trial, so far; NaN
          for a failed one, and where a stock Keras Tuner project recorded none. The best epoch is the one with the best
          value of the run's objective, by which the trials are ranked too.
        - ``low``, ``high`` (float64): its 95% Wilson interval over the validation images; NaN where their number is
          not known.
        - ``indistinguishable_from_best`` (bool): completed, and not significantly different from the best trial
          (``inference.indistinguishable_from_best``); False for all where the number of validation images is not known.
        - ``balanced_accuracy``, ``macro_f1`` (float64): mean recall and mean F1 over the classes in the same epoch; NaN
          where they were not recorded (balanced accuracy is then the mean of the recorded recalls).
        - ``best_epoch`` (Int64): the epoch of ``accuracy``, counted from 1.
        - ``epochs`` (Int64): last epoch trained, including those of the trials that it was promoted from.
        - ``seconds`` (float64): wall time of the epochs that it trained itself.
        - ``clean_accuracy`` (float64): accuracy in the same epoch over the same images without augmentation; differs
          from ``accuracy`` only with ``--protocol report``.
        - ``score`` (float64): the tuner's objective: ``accuracy``, or a stock project's own.
        - ``parameters`` (Int64): number of parameters. ``flops`` (Int64): floating-point operations of one image's
          forward pass, 2 a multiply-add.
        - ``message`` (string): reason of a failure.
        - ``bracket``, ``round`` (Int64), ``parent``, ``went_on_as`` (string): Hyperband's bracket and rung, the trial
          that it was promoted from, and the one that it was promoted to.
        - ``budget`` (Int64), with --equal-time only: the number of epochs of the space's default design that take as
          long as ``epochs``.
        - ``choice.NAME`` for each choice of the space, in its order: Int64, Float64, boolean or string (object where
          the values are of several types); <NA> where the choice was not active.

    Raises:
        UserError: the folder is missing or not a run, or a file in it is broken; the message names it.
    """
    info, records = load_run(run), read_trial_records(Path(run))
    return build_trials(info, records, read_curves(records))


def build_trials(info: RunInfo, records: Sequence[TrialRecord], curves: pd.DataFrame) -> pd.DataFrame:
    """Return the table of ``load_trials`` from what was read before.

    Args:
        info: from ``load_run``.
        records: of the trials, in the order in which they were started.
        curves: from ``load_epochs``.
    """
    goal, direction = infer_objective(list(records))
    last = curves.groupby("trial")["epoch"].max()
    own = curves[~curves["inherited"].astype(bool)]
    facts = _Facts(
        goal,
        last.to_dict(),
        own.groupby("trial")["seconds"].sum(min_count=1).to_dict(),
        _best_rows(own, info.objective),
    )
    rows = [_row(record, facts) | {"order": at} for at, record in enumerate(records, 1)]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(TYPES)
    if "budget" in curves:
        table["budget"] = table["trial"].astype(object).map(curves.groupby("trial")["budget"].max()).astype("Int64")
    table["went_on_as"] = table["trial"].map({r.parent: r.trial for r in records if r.parent}).astype("string")
    _add_intervals(table, info.validation)
    table = pd.concat([table, _choice_columns(info.choices, records)], axis=1)
    return rank_trials(table, direction, info.objective)


class _Facts:
    """What the learning curves say about each trial."""

    def __init__(
        self, goal: str, last: dict[Any, Any], seconds: dict[Any, Any], best: dict[str, dict[str, Any]]
    ) -> None:
        self.goal, self.last, self.seconds, self.best = goal, last, seconds, best


def _best_rows(own: pd.DataFrame, objective: Objective) -> dict[str, dict[str, Any]]:
    goal = objective.name if objective.name in own else ACCURACY.name
    scored = own[own["val_accuracy"].notna() & own[goal].notna()]
    best = scored.loc[(objective.sign * scored[goal]).groupby(scored["trial"]).idxmax()]
    recalls = [column for column in best.columns if column.startswith(RECALL)]
    if "val_balanced_accuracy" not in best:
        best = best.assign(val_balanced_accuracy=float("nan"))
    mean = best[recalls].mean(axis=1) if recalls else float("nan")
    best = best.assign(val_balanced_accuracy=best["val_balanced_accuracy"].fillna(mean))
    known = ("epoch", "val_accuracy", "clean_val_accuracy", "val_balanced_accuracy", "val_macro_f1")
    columns = [column for column in known if column in best]
    return dict(zip(best["trial"], best[columns].to_dict("records"), strict=True))


def _row(record: TrialRecord, facts: _Facts) -> dict[str, Any]:
    status = {"COMPLETED": "completed", "FAILED": "failed", "INVALID": "failed"}.get(record.status, "running")
    best = facts.best.get(record.trial, {}) if status != "failed" else {}
    epoch = best.get("epoch")
    if epoch is None and record.score is not None and record.best_step is not None:
        epoch = record.best_step + 1  # stock Keras Tuner counts from 0
    design, values = record.design, record.values
    return {
        "trial": record.trial,
        "name": design.get("name"),
        "status": status,
        "accuracy": best["val_accuracy"] if best else _stock_accuracy(record, facts.goal, status),
        "indistinguishable_from_best": False,
        "best_epoch": epoch,
        "epochs": facts.last.get(record.trial, None if design else values.get(EPOCHS)),  # of a stock project
        "seconds": facts.seconds.get(record.trial),
        "balanced_accuracy": best.get("val_balanced_accuracy"),
        "macro_f1": best.get("val_macro_f1"),
        "clean_accuracy": best.get("clean_val_accuracy"),
        "score": record.score,
        "parameters": design.get("parameters"),
        "flops": design.get("flops"),
        "message": record.message or None,
        "bracket": values.get(BRACKET),
        "round": values.get(ROUND),
        "parent": record.parent,
    }


def _stock_accuracy(record: TrialRecord, goal: str, status: str) -> float | None:
    """Return the score where it is an accuracy, or else the best validation accuracy among the metrics."""
    if status == "failed":
        return None
    names = [goal] if "acc" in goal else [name for name in record.metrics if name.startswith("val_") and "acc" in name]
    value = record.score if names == [goal] else next((best_observation(record, name) for name in names), None)
    return value if value is not None and 0 <= value <= 1 else None


def _add_intervals(table: pd.DataFrame, images: int | None) -> None:
    if images and len(table):
        table["low"], table["high"] = wilson_interval(table["accuracy"].to_numpy(), images)
        completed = table["accuracy"].where(table["status"] == "completed")
        table["indistinguishable_from_best"] = indistinguishable_from_best(completed.to_numpy(), images)


def rank_trials(table: pd.DataFrame, direction: str | None = None, objective: Objective = ACCURACY) -> pd.DataFrame:
    """Sort by status, then the objective (the score where no trial has an accuracy), then order.

    Args:
        table: rows of ``load_trials``.
        direction: of the score, "max" or "min"; None keeps the order of the scores that the table has.
        objective: What the run optimised.
    """
    goal = table["accuracy"] if objective == ACCURACY else objective.sign * table["score"]
    if goal.isna().all() and direction is None:
        goal = pd.Series(-np.arange(len(table), dtype=float))
    elif goal.isna().all():
        goal = table["score"] if direction == "max" else -table["score"]
    status = table["status"].map({"completed": 0, "running": 1, "failed": 2}).to_numpy(float)
    by = np.lexsort((table["order"].to_numpy(float), goal.fillna(-np.inf).mul(-1).to_numpy(float), status))
    return table.iloc[by].reset_index(drop=True)


def _choice_columns(choices: Sequence[Choice], records: Sequence[TrialRecord]) -> pd.DataFrame:
    active = [active_values(choices, record.values) for record in records]
    names = dict.fromkeys([choice.name for choice in choices] + [name for values in active for name in values])
    columns = {CHOICE + name: _typed([values.get(name) for values in active]) for name in names}
    return pd.DataFrame(columns, index=range(len(records)))


def _typed(values: list[Any]) -> pd.Series:
    kinds = {type(value) for value in values if value is not None}
    for kind, dtype in ((bool, "boolean"), (int, "Int64"), (str, "string")):
        if kinds == {kind}:
            return pd.Series(values, dtype=dtype)
    if kinds and kinds <= {int, float}:
        return pd.Series(values, dtype="Float64")
    return pd.Series([pd.NA if value is None else value for value in values], dtype=object)
