"""epochs.csv: one row per epoch of a trial, appended as the epochs end.

The last column, ``crc32``, is the CRC-32 of the trial's folder name, the header and all rows up to this one. It detects
a changed, missing or foreign row. Files of older versions have no such column, and get none when rows are added.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.files import check_write_guard, open_regular, read_text, sync_folder, write_text
from fer_search.runfolder.json_files import repair_hint

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
CHECK_COLUMN = "crc32"


@dataclass(frozen=True)
class EpochTable:
    """The text of an epochs.csv, verified.

    Args:
        header: Header line, without the check column.
        lines: Valid data lines, without the check column. An incomplete last line, left by a kill, is no part of them.
        damage: What is wrong with the first line that is not valid, in words; None if all are.
        incomplete: Whether the last line is incomplete.
        checked: Whether the rows have checksums.
    """

    header: str
    lines: list[str]
    damage: str | None = None
    incomplete: bool = False
    checked: bool = False

    def rows(self) -> list[Row]:
        """Return the valid rows."""
        reader = csv.DictReader(io.StringIO("\n".join([self.header, *self.lines])))
        return [{name: float(value) for name, value in row.items()} for row in reader]


def read_epochs(path: Path) -> list[Row]:
    """Return the rows of an epochs.csv; empty if there is none. An incomplete last line, left by a kill, is ignored.

    Raises:
        UserError: It is damaged; the message names it and the row (exit code 4).
    """
    return read_epoch_table(path).rows() if os.path.lexists(path) else []


def read_epoch_lines(path: Path) -> tuple[str, list[str]]:
    """Return the header and the complete data lines of an epochs.csv, verified but not parsed; see ``read_epochs``."""
    table = read_epoch_table(path)
    return table.header, table.lines


def read_epoch_table(path: Path) -> EpochTable:
    """Return an epochs.csv without damage.

    Raises:
        UserError: It is damaged; the message names it and the row (exit code 4).
    """
    try:
        table = parse_epochs(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); {repair_hint(path)}", EXIT_RUN_FOLDER) from error
    if table.damage:
        raise UserError(f"{path}{table.damage}; {repair_hint(path)}", EXIT_RUN_FOLDER)
    return table


def parse_epochs(path: Path) -> EpochTable:
    """Return an epochs.csv up to the first row that is damaged.

    Raises:
        OSError, ValueError: It cannot be read, or is no UTF-8 text.
    """
    text = read_text(path)
    complete = text[: text.rfind("\n") + 1]
    header, *lines = complete.split("\n")[:-1] or [""]
    table = _verify(path.parent.name, header, lines)
    return dataclasses.replace(table, incomplete=complete != text)


def append_epoch(path: Path, row: Row) -> None:
    """Append the row of one epoch and fsync it; a new file gets the header first.

    Args:
        path: The epochs.csv.
        row: Values of METRIC_COLUMNS, and the other metrics; the same keys for every epoch.
    """
    check_write_guard()
    known = parse_epochs(path) if os.path.lexists(path) else EpochTable("", [])
    new = not known.header
    text = _format(path.parent.name, [row], None if new else known)
    with os.fdopen(open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if new:
        sync_folder(path.parent)


def rewrite_epochs(path: Path, rows: Sequence[Row]) -> None:
    """Replace the table, to drop rows of epochs later than the last checkpoint; without rows the file is removed."""
    if rows:
        write_text(path, _format(path.parent.name, rows))
    else:
        path.unlink(missing_ok=True)


def columns_of(row: Row) -> list[str]:
    """Return the columns of a table with rows like this one."""
    return [*METRIC_COLUMNS, *(name for name in row if name not in METRIC_COLUMNS)]


def _format(folder: str, rows: Sequence[Row], known: EpochTable | None = None) -> str:
    """Return rows as text, with a header unless they follow a table with its own."""
    if known is not None:
        columns, checked = split_line(known.header), known.checked
    else:
        columns, checked = columns_of(rows[0]), True
    header = known.header if known is not None else _join(columns)
    crc = _crc(folder, [header, *(known.lines if known else [])])
    lines = [] if known is not None else [f"{header},{CHECK_COLUMN}"]
    for row in rows:
        line = ",".join(_format_value(name, row[name]) for name in columns)
        crc = zlib.crc32(f"{line}\n".encode(), crc)
        lines.append(f"{line},{crc}" if checked else line)
    return "".join(f"{line}\n" for line in lines)


def _verify(folder: str, header: str, lines: list[str]) -> EpochTable:
    if split_line(header)[-1] != CHECK_COLUMN:
        return _check_shape(header, lines)
    plain = header.rpartition(",")[0]
    crc = _crc(folder, [plain])
    valid: list[str] = []
    for number, line in enumerate(lines, 1):
        content, _, check = line.rpartition(",")
        crc = zlib.crc32(f"{content}\n".encode(), crc)
        if check != str(crc):
            return EpochTable(plain, valid, f" is damaged: row {number} does not match its checksum", checked=True)
        valid.append(content)
    return EpochTable(plain, valid, checked=True)


def _check_shape(header: str, lines: list[str]) -> EpochTable:
    """Check that every row has a number in each column, and that the epochs are consecutive."""
    columns = split_line(header)
    valid: list[str] = []
    if header and (columns[0] != "epoch" or len(set(columns)) < len(columns)):
        return EpochTable(header, [], " is damaged: its header is not that of epochs.csv")
    if lines and not header:
        return EpochTable(header, [], " is damaged: its header is missing")
    previous = None
    for number, line in enumerate(lines, 1):
        try:
            values = [float(value) for value in line.split(",")]
        except ValueError as error:
            return EpochTable(header, valid, f" is damaged: row {number} cannot be read ({error})")
        if len(values) != len(columns):
            return EpochTable(header, valid, f" is damaged: row {number} has {len(values)} of {len(columns)} columns")
        if values[0] < 1 or values[0] != int(values[0]) or (previous is not None and values[0] != previous + 1):
            what = f" is damaged: the epoch of row {number} is {values[0]:g}, not the next one"
            return EpochTable(header, valid, what)
        previous = values[0]
        valid.append(line)
    return EpochTable(header, valid)


def split_line(line: str) -> list[str]:
    """Return the fields of a csv line; class names may hold commas."""
    return next(csv.reader([line]), None) or [""]


def _join(fields: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(fields)
    return text.getvalue()


def _crc(folder: str, lines: Sequence[str]) -> int:
    return zlib.crc32("".join(f"{line}\n" for line in (folder, *lines)).encode())


def _format_value(name: str, value: float) -> str:
    if name == "epoch":
        return str(int(value))
    return f"{value:.3f}" if name == "seconds" else repr(float(value))
