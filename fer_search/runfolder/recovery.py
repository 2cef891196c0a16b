"""Damaged training files of a trial that is to be resumed: set aside, so that it is trained again from valid ones."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

from fer_search.files import storage_failed
from fer_search.runfolder.epochs import METRIC_COLUMNS, Row, parse_epochs, rewrite_epochs
from fer_search.runfolder.schema import BEST_WEIGHTS_FILE, EPOCHS_FILE, MID_EPOCH_FILE
from fer_search.runfolder.seal import damage

BROKEN_PREFIX = "broken-"
CHECKPOINTS = "*.weights.h5"


def set_aside_damaged(folder: Path, seed: int, number: int) -> list[str]:
    """Set damaged checkpoints and rows of a trial that has not ended aside; return a line for each.

    Training then resumes from the last epoch that is valid. If the weights of the best epoch are damaged it starts
    again, since that epoch may never be surpassed.

    Args:
        folder: Folder of the trial.
        seed: Seed of the run.
        number: Number of the trial.
    """
    lines = []
    for path, what in damaged_checkpoints(folder, seed, number):
        lines.append(f"{path} {what}; set aside, training resumes from the last valid checkpoint.")
        set_aside(path)
        if path.name == BEST_WEIGHTS_FILE:
            for other in folder.glob(CHECKPOINTS):
                set_aside(other)
    lines += _restart_without_best(folder)
    table = folder / EPOCHS_FILE
    if (what_table := damaged_table(table)) is not None:
        lines.append(f"{table}{what_table}; set aside, the epochs from there on are trained again.")
        cut_table(table)
    return lines


def _restart_without_best(folder: Path) -> list[str]:
    """Set the checkpoints aside if there were epochs, but not the weights of the best: training then starts again."""
    table, best = folder / EPOCHS_FILE, folder / BEST_WEIGHTS_FILE
    checkpoints = [*folder.glob("epoch_*.weights.h5"), *folder.glob(MID_EPOCH_FILE)]
    if best.exists() or not checkpoints or not table.exists() or damaged_table(table) is not None:
        return []
    if not any(row["val_loss"] == row["val_loss"] for row in parse_epochs(table).rows()):
        return []  # nothing was validated, so that no epoch is the best
    for path in checkpoints:
        set_aside(path)
    return [f"{best} is missing; the trial starts again."]


def damaged_checkpoints(folder: Path, seed: int | None, number: int | None) -> list[tuple[Path, str]]:
    """Return the damaged checkpoints of a trial and what is wrong with each.

    Args:
        folder: Folder of the trial.
        seed: Seed of the run; None if unknown.
        number: Number of the trial; None if unknown.
    """
    damaged = []
    for path in sorted(folder.glob(CHECKPOINTS)):
        epoch = path.name.removeprefix("epoch_").removesuffix(".weights.h5")
        known = int(epoch) if epoch.isdecimal() else None
        ours = path.name in (BEST_WEIGHTS_FILE, MID_EPOCH_FILE) or known is not None
        if ours and (what := damage(path, seed, number, known)) is not None:
            damaged.append((path, what))
    return damaged


def damaged_table(table: Path) -> str | None:
    """Return what is wrong with an epochs.csv, to follow its name; None if it is valid or missing.

    Raises:
        OSError: The disk or the system failed, which says nothing about the file.
    """
    try:
        return parse_epochs(table).damage
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        if storage_failed(error):
            raise
        return f" cannot be read ({error})"


def valid_rows(table: Path) -> list[Row] | None:
    """Return the rows of an epochs.csv; None if it is damaged or missing.

    Raises:
        OSError: The disk or the system failed, which says nothing about the file.
    """
    try:
        parsed = parse_epochs(table)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        if storage_failed(error):
            raise
        return None
    return parsed.rows() if parsed.damage is None else None


def cut_table(table: Path) -> None:
    """Set a damaged epochs.csv aside and keep its valid rows."""
    try:
        rows = parse_epochs(table).rows()
    except (OSError, ValueError):
        rows = []
    set_aside(table)
    if rows:
        rewrite_epochs(table, rows)


def rows_in_trial(trial: dict[str, Any] | None) -> list[Row]:
    """Return the epochs recorded in a completed trial's trial.json; empty if a column is missing."""
    if trial is None or trial.get("status") != "COMPLETED":
        return []
    rows: dict[int, Row] = {}
    for name, metric in trial.get("metrics", {}).get("metrics", {}).items():
        for observation in metric["observations"]:
            step = int(observation["step"])
            rows.setdefault(step, {"epoch": step})[name] = observation["value"][0]
    names = set().union(*rows.values()) if rows else set()
    complete = all(set(METRIC_COLUMNS) <= set(row) and set(row) == names for row in rows.values())
    return [rows[epoch] for epoch in sorted(rows)] if complete else []


def tables_agree(rows: list[Row], recorded: list[Row]) -> bool:
    """Return whether a table has the epochs of a trial.json, times left out."""
    if len(rows) != len(recorded):
        return False
    pairs = zip(rows, recorded, strict=True)
    return all(repr(a.get(k)) == repr(float(v)) for a, b in pairs for k, v in b.items() if k != "seconds")


def replace_table(table: Path, rows: list[Row]) -> None:
    if table.exists() and table.stat().st_size:
        set_aside(table)
    rewrite_epochs(table, rows)


def set_aside(path: Path) -> None:
    """Rename a damaged file so that nothing reads it any more, but the user can."""
    if path.is_symlink() or not path.exists():
        return
    path.rename(_free_name(path.with_name(f"{BROKEN_PREFIX}{path.name.removesuffix('.h5')}")))


def _free_name(path: Path) -> Path:
    others = (path.with_name(f"{path.name}-{number}") for number in range(2, 1000))
    return next((name for name in itertools.chain((path,), others) if not os.path.lexists(name)), path)
