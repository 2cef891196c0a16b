"""epochs.csv: one row per epoch of a trial, appended as the epochs end."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from fer_search.files import sync_folder, write_text

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
)  # then recall_CLASS for each class, on the validation images


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
        row: Values of METRIC_COLUMNS, and the per-class recalls; the same keys for every epoch.
    """
    new = not path.exists() or path.stat().st_size == 0
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(_format([row], header=new))
        file.flush()
        os.fsync(file.fileno())
    if new:
        sync_folder(path.parent)


def rewrite_epochs(path: Path, rows: Sequence[Row]) -> None:
    """Replace the table, to drop rows of epochs later than the last checkpoint; without rows the file is removed."""
    if rows:
        write_text(path, _format(rows, header=True))
    else:
        path.unlink(missing_ok=True)


def _format(rows: Sequence[Row], header: bool) -> str:
    columns = [*METRIC_COLUMNS, *(name for name in rows[0] if name not in METRIC_COLUMNS)]
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
