"""Predictions as text: a table for people, csv or JSON for programs, written as they come."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fer_search.predict.pipeline import Face
from fer_search.terminal import UNPRINTABLE, printable, spreadsheet_safe

BOX_COLUMNS = ("left", "top", "width", "height")


def face_row(name: str, face: Face, classes: Sequence[str], time: float | None = None) -> dict[str, Any]:
    """Return a face as a row: file, (seconds,) box, class, probability, and the probability of every class."""
    values = [round(float(value), 6) for value in face.probabilities]
    best = int(face.probabilities.argmax())
    row: dict[str, Any] = {"file": name}
    if time is not None:
        row["seconds"] = round(time, 3)
    row |= dict(zip(BOX_COLUMNS, face.box, strict=True))
    row |= {"class": classes[best], "probability": values[best]}
    return row | {f"p_{cls}": value for cls, value in zip(classes, values, strict=True)}


class RowWriter:
    """Writes rows, each as soon as it is there; names of files and classes cannot steer a terminal or spreadsheet.

    Args:
        form: "table", "csv" or "json".
        write: Takes the text.
        classes: Class names.
        timed: Whether rows have a column "seconds".
    """

    def __init__(self, form: str, write: Callable[[str], object], classes: Sequence[str], timed: bool = False) -> None:
        self.form, self.write_text, self.classes, self.timed = form, write, classes, timed
        self.count = 0

    def write(self, row: dict[str, Any]) -> None:
        """Write a row from ``face_row``."""
        if self.form == "json":
            self.write_text(("[\n" if not self.count else ",\n") + _json(row))
        elif self.form == "csv":
            self.write_text(("" if self.count else _csv_line(row)) + _csv_line(row.values()))
        else:
            heads = {name: name for name in ("file", "seconds", "box", "class")}
            self.write_text(("" if self.count else self._line(heads, "next")) + self._table_row(row))
        self.count += 1

    def close(self) -> None:
        """Write what ends the output."""
        if self.form == "json":
            self.write_text("\n]\n" if self.count else "[]\n")
        elif self.form == "csv" and not self.count:
            times = ("seconds",) if self.timed else ()
            names = ("file", *times, *BOX_COLUMNS, "class", "probability", *(f"p_{name}" for name in self.classes))
            self.write_text(_csv_line(names))

    def _table_row(self, row: dict[str, Any]) -> str:
        left, top, width, height = (row[name] for name in BOX_COLUMNS)
        others = sorted(((row[f"p_{name}"], name) for name in self.classes if name != row["class"]), reverse=True)[:2]
        cells = {"file": row["file"], "box": f"{width}x{height} at {left},{top}"}
        cells |= {"class": f"{row['class']} {row['probability']:.0%}"}
        if self.timed:
            cells["seconds"] = f"{row['seconds']:.2f}"
        return self._line(cells, ", ".join(f"{name} {value:.0%}" for value, name in others))

    def _line(self, cells: dict[str, str], rest: str) -> str:
        longest = max(len(printable(name)) for name in self.classes) + 5
        shown = {name: printable(text) for name, text in cells.items()}
        times = f"{shown['seconds']:>8}  " if self.timed else ""
        return f"{shown['file']:<32}  {times}{shown['box']:<22}  {shown['class']:<{longest}}  {printable(rest)}\n"


def _json(row: dict[str, Any]) -> str:
    """Return a row as JSON in which the characters that a terminal obeys are escaped: it means the same."""
    return UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(row, ensure_ascii=False))


def _csv_line(values: Iterable[Any]) -> str:
    text = io.StringIO()
    safe = (spreadsheet_safe(value) if isinstance(value, str) else value for value in values)
    csv.writer(text, lineterminator="\n").writerow(safe)
    return text.getvalue()
