"""One trial of a run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich import box
from rich.console import RenderableType
from rich.table import Table

from fer_search.errors import UserError
from fer_search.report import load_epochs, load_trials
from fer_search.report.formatting import choices, count, duration, gigaflops, title, with_interval


def find_trial(trials: pd.DataFrame, wanted: str) -> pd.Series:
    """Return the row of a trial by its number, its id or the name of the baseline that it is.

    Raises:
        UserError: there is none, or several.
    """
    fits = (trials["trial"] == wanted) | (trials["name"] == wanted).fillna(False)
    if wanted.isdigit():
        fits |= trials["trial"].str.fullmatch(rf"0*{int(wanted)}")
    found = trials[fits]
    if len(found) > 1:
        numbers = ", ".join(str(int(number)) for number in sorted(found["trial"]))
        raise UserError(f"{wanted} was trained {len(found)} times; give the number of one of its trials: {numbers}")
    if not len(found):
        names = ", ".join(trials["name"].dropna())
        raise UserError(f"there is no trial {wanted!r}; give a number from 0 to {len(trials) - 1}, or one of {names}")
    return found.iloc[0]


def describe_trial(run: Path, wanted: str) -> list[RenderableType]:
    """Return what ``fer-search show`` prints.

    Raises:
        UserError: the run cannot be read, or has no such trial.
    """
    row = find_trial(load_trials(run), wanted)
    facts = [f"{title(row).capitalize()}: {row['status']}, validation accuracy {with_interval(row)}"]
    if not pd.isna(row["message"]):
        facts.append(str(row["message"]))
    facts.append(
        f"{count(row['parameters'])} parameters, {gigaflops(row['flops'])} GFLOP an image, {duration(row['seconds'])}"
    )
    if not pd.isna(row["parent"]):
        facts.append(f"went on from trial {row['parent']}")
    facts += [f"{name}: {value}" for name, value in choices(row)]
    curves = load_epochs(run)
    return ["\n".join(facts), _epochs_table(curves[curves["trial"] == row["trial"]])]


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
        table.add_row(str(row["epoch"]) + (" (before)" if row["inherited"] else ""), *numbers)
    return table
