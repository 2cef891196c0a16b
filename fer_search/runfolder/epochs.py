"""epochs.csv: the table of a trial's epochs, one row an epoch, appended as they end."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

from fer_search.data.dataset import CLASSES
from fer_search.files import sync_folder, write_text

Row = dict[str, float]
COLUMNS = (
    "epoch",  # 1 is the first
    "loss",  # mean over the training images, as augmented, weighted and with dropout
    "accuracy",
    "val_loss",  # over the validation images, as the protocol shows them
    "val_accuracy",
    "clean_val_loss",  # over the same images without augmentation; val_loss where the protocol does not augment
    "clean_val_accuracy",
    "learning_rate",  # of the epoch's last step
    "seconds",  # wall time of the epoch, training and validation
    *(f"recall_{name}" for name in CLASSES),  # of each class over the validation images, as the protocol shows them
)


def read_epochs(path: Path) -> list[Row]:
    """Return the rows of an epochs.csv; empty where there is none. A line torn by a kill is left out."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(io.StringIO(whole))]


def append_epoch(path: Path, row: Row) -> None:
    """Append one epoch's row and force it to disk; writes the header first where the file is new."""
    new = not path.exists() or path.stat().st_size == 0
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(_lines([row], header=new))
        file.flush()
        os.fsync(file.fileno())
    if new:
        sync_folder(path.parent)


def rewrite_epochs(path: Path, rows: list[Row]) -> None:
    """Replace the table whole, after a kill left a row or half a row more than the checkpoint has."""
    write_text(path, _lines(rows, header=True))


def _lines(rows: list[Row], header: bool) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows({name: _number(name, row[name]) for name in COLUMNS} for row in rows)
    return text.getvalue()


def _number(name: str, value: float) -> str:
    if name == "epoch":
        return str(int(value))
    return f"{value:.3f}" if name == "seconds" else repr(float(value))
