"""epochs.csv: one row per epoch of a trial, appended as the epochs end."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from fer_search.files import check_write_guard, sync_folder, write_text

Row = dict[str, float]
METRIC_COLUMNS = (
    "epoch",  # counted from 1
    "loss",  # training loss, mean over the epoch, with augmentation, class weights and dropout
    "accuracy",
    "val_loss",  # on the validation images, augmented if the protocol says so
    "val_accuracy",
    "clean_val_loss",  # on the same images without augmentation; equals val_loss if the protocol does not augment
    "clean_val_accuracy",
    "learning_rate",  # at the last step of the epoch
    "seconds",  # wall time, training and validation
)  # then, on the validation images, val_balanced_accuracy, val_macro_f1, and recall_CLASS for each class


def read_epochs(path: Path) -> list[Row]:
    """Return the rows of an epochs.csv; empty if there is none. An incomplete last line, left by a kill, is ignored."""
    if not path.exists():
        return []
    header, lines = read_epoch_lines(path)
    reader = csv.DictReader(io.StringIO("\n".join([header, *lines])))
    return [{name: float(value) for name, value in row.items()} for row in reader]


def read_epoch_lines(path: Path) -> tuple[str, list[str]]:
    """Return the header and the complete data lines of an epochs.csv, without parsing them."""
    text = path.read_text(encoding="utf-8")
    header, *lines = text[: text.rfind("\n") + 1].splitlines() or [""]
    return header, lines


def append_epoch(path: Path, row: Row) -> None:
    """Append the row of one epoch and fsync it; a new file gets the header first.

    Args:
        path: The epochs.csv.
        row: Values of METRIC_COLUMNS, and the other metrics; the same keys for every epoch.
    """
    check_write_guard()
    header = read_epoch_lines(path)[0] if path.exists() else ""
    columns = header.split(",") if header else columns_of(row)  # tables of older versions have fewer
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(_format([row], columns, header=not header))
        file.flush()
        os.fsync(file.fileno())
    if not header:
        sync_folder(path.parent)


def rewrite_epochs(path: Path, rows: Sequence[Row]) -> None:
    """Replace the table, to drop rows of epochs later than the last checkpoint; without rows the file is removed."""
    if rows:
        write_text(path, _format(rows, columns_of(rows[0]), header=True))
    else:
        path.unlink(missing_ok=True)


def columns_of(row: Row) -> list[str]:
    """Return the columns of a table with rows like this one."""
    return [*METRIC_COLUMNS, *(name for name in row if name not in METRIC_COLUMNS)]


def _format(rows: Sequence[Row], columns: Sequence[str], header: bool) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows({name: _format_value(name, row[name]) for name in columns} for row in rows)
    return text.getvalue()


def _format_value(name: str, value: float) -> str:
    if name == "epoch":
        return str(int(value))
    return f"{value:.3f}" if name == "seconds" else repr(float(value))
