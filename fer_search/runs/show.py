"""One trial of a run as text."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich import box
from rich.console import RenderableType
from rich.table import Table

from fer_search.errors import UserError
from fer_search.report import load_epochs, load_trials
from fer_search.report.formatting import choices, count, duration, gigaflops, title, with_interval
from fer_search.report.tables.outcomes import outcomes_of
from fer_search.runfolder.run_json import load_run
from fer_search.runfolder.schema import BEST_WEIGHTS_FILE, RUN_FILE, TRIAL_PREFIX


def find_trial(trials: pd.DataFrame, wanted: str) -> pd.Series:
    """Return the row of a trial, given its number, its id or the name of a baseline.

    Args:
        trials: From ``load_trials``.
        wanted: Number, id or name.

    Raises:
        UserError: There is no such trial, or several.
    """
    resumed = trials["went_on_as"].isin(trials["trial"])  # the name is that of the training, whose last trial counts
    text = wanted.encode("utf-8", "backslashreplace").decode()  # pandas cannot compare with bytes that are no UTF-8
    matches = (trials["trial"] == text) | ((trials["name"] == text).fillna(False) & ~resumed)
    if wanted.isascii() and wanted.isdecimal():
        matches |= trials["trial"].str.fullmatch(rf"0*{wanted.lstrip('0') or '0'}")
    rows = trials[matches]
    if len(rows) > 1:
        numbers = ", ".join(str(int(number)) for number in sorted(rows["trial"]))
        raise UserError(f"{wanted} was trained {len(rows)} times; give the number of one of its trials: {numbers}")
    if rows.empty:
        names = ", ".join(dict.fromkeys(trials["name"].dropna()))
        named = f", or one of {names}" if names else ""
        raise UserError(f"there is no trial {wanted!r}; give a number from 0 to {len(trials) - 1}{named}")
    return rows.iloc[0]


def describe_trial(run: Path, wanted: str) -> list[RenderableType]:
    """Return what ``fer-search show`` prints.

    Raises:
        UserError: The run cannot be read, or has no such trial.
    """
    trials = load_trials(run)
    row = find_trial(trials.assign(status=outcomes_of(load_run(run), trials)), wanted)
    facts = [f"{title(row).capitalize()}: {row['status']}, validation accuracy {with_interval(row)}"]
    if not pd.isna(row["message"]):
        facts.append(str(row["message"]))
    if not pd.isna(row["parameters"]):
        costs = f"{count(row['parameters'])} parameters, {gigaflops(row['flops'])} GFLOP an image"
        facts.append(costs + ("" if pd.isna(row["seconds"]) else f", {duration(row['seconds'])}"))
    if not pd.isna(row["parent"]):
        facts.append(f"continued from trial {row['parent']}")
    facts += [f"{name}: {value}" for name, value in choices(row)]
    facts.append(how_to_load(run, row))
    curves = load_epochs(run)
    epochs = curves[curves["trial"] == row["trial"]]
    return ["\n".join(facts), *([_epochs_table(epochs)] if len(epochs) else [])]


def how_to_load(run: Path, row: pd.Series) -> str:
    """Return how to use a trial's network, or how to get it where its weights were not kept."""
    number = int(row["trial"])
    if row["status"] == "failed":
        return "it failed, so there is no network"
    if (run / f"{TRIAL_PREFIX}{row['trial']}" / BEST_WEIGHTS_FILE).exists():
        return (
            f"to use its network: fer-search predict {run} --trial {number} PHOTO, fer-search export {run} --trial "
            f"{number}, or in Python: fer_search.load({str(run)!r}, trial={number})"
        )
    if not (run / RUN_FILE).exists():
        return "its network is kept as stock Keras Tuner keeps it: tuner.get_best_models()"
    return (
        f"its weights were not kept; fer-search confirm {run} --trial {number} trains this design again and keeps the "
        "network"
    )


def _epochs_table(rows: pd.DataFrame) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    columns = {
        "loss": ".3f",
        "accuracy": ".3f",
        "val_loss": ".3f",
        "val_accuracy": ".3f",
        "learning_rate": ".2g",
        "seconds": ".1f",
    }
    for name in ("epoch", *columns):
        table.add_column(name.replace("_", " "), justify="right")
    for row in rows.to_dict("records"):
        numbers = ("" if pd.isna(row[name]) else format(row[name], form) for name, form in columns.items())
        table.add_row(str(row["epoch"]) + (" (inherited)" if row["inherited"] else ""), *numbers)
    return table
