"""Csv files with pixels: fer2013.csv (emotion,pixels,Usage), icml_face_data.csv and similar.

FER2013's has 300 MB of numbers of one to three digits. They are parsed as bytes with NumPy, a few thousand rows at a
time: seconds instead of the minute that ``str.split`` takes, in a fifth of a gigabyte.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from fer_search.data.dataset import TRAIN
from fer_search.data.dialect import Dialect, open_csv
from fer_search.data.images import Conversions, choose_size, fit
from fer_search.data.labels import resolve_labels
from fer_search.data.limits import check_line, open_file
from fer_search.data.options import DataOptions
from fer_search.data.raw import RawData
from fer_search.data.splits import split_of
from fer_search.errors import UserError

LABEL_COLUMNS = ("emotion", "label", "class", "expression", "emotion_label", "target")
USAGE_COLUMNS = ("usage", "split", "set", "subset")
CHUNK = 16_000_000  # bytes parsed at a time


@dataclass
class Rows:
    """Rows parsed so far.

    Args:
        path: Name of the file in messages.
        columns: Index of each column that is read.
        dialect: Of the file.
        default_split: Split of all rows if there is no Usage column.
    """

    path: str
    columns: dict[str, int]
    dialect: Dialect
    default_split: int = TRAIN
    side: int = 0  # of the images; 0 before the first row
    images: list[np.ndarray] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    splits: list[int] = field(default_factory=list)


def read_csv(path: Path, options: DataOptions | None = None, default_split: int = TRAIN) -> RawData:
    """Read a csv with pixels; see ``parse_csv``."""
    with open_file(path) as file:
        return parse_csv(file, str(path), options or DataOptions(), default_split)


def parse_csv(file: IO[bytes], path: str, options: DataOptions, default_split: int = TRAIN) -> RawData:
    """Read a csv with pixels from an open file.

    Args:
        file: The file, at its beginning.
        path: Its name in messages.
        options: Classes, size and colour.
        default_split: Split of all rows if there is no Usage column.

    Raises:
        UserError: The header, or a row's label, usage or pixels are invalid; the message names the row (1 is the first
            after the header).
    """
    stream, dialect, header = open_csv(file, path)
    rows = Rows(path, _columns(header, path), dialect, default_split)
    rest = b""
    while block := stream.read(CHUNK):
        lines, _, rest = (rest + block).rpartition(b"\n")
        check_line(len(rest), path)  # before it grows
        _parse(lines, rows)
    _parse(rest, rows)
    side = rows.side or 48
    images = np.concatenate(rows.images) if rows.images else np.empty((0, side, side), np.uint8)
    labels = resolve_labels(
        rows.texts, options, lambda row: f"{path}, row {row + 1}: {header[rows.columns['label']]}", path, "fer2013"
    )
    images, notes = _convert(images[labels.kept] if not labels.kept.all() else images, options)
    splits = np.array(rows.splits, np.uint8)[labels.kept]
    return RawData(images, labels.labels[labels.kept], splits, "csv", (*notes, *labels.notes), labels.classes)


def _columns(header: list[str], path: str) -> dict[str, int]:
    names = [name.lower() for name in header]
    columns = {"label": next((names.index(c) for c in LABEL_COLUMNS if c in names), -1)}
    columns["pixels"] = names.index("pixels") if "pixels" in names else -1
    usage = next((names.index(c) for c in USAGE_COLUMNS if c in names), -1)
    for name, expected in (("label", "emotion"), ("pixels", "pixels")):
        if columns[name] < 0:
            shown = ", ".join(header)[:80] or "nothing"
            raise UserError(
                f"{path}: no column {expected!r} in its header ({shown}); fer2013.csv has emotion,pixels,Usage"
            )
    return columns | ({"usage": usage} if usage >= 0 else {})


def _parse(lines: bytes, rows: Rows) -> None:
    """Parse whole lines and append what they hold."""
    pixels, first = [], len(rows.texts) + 1
    columns, wanted = rows.columns, max(rows.columns.values()) + 1
    for line in lines.splitlines():
        check_line(len(line), rows.path)
        if not line.strip():
            continue
        row, fields = len(rows.texts) + 1, _fields(line, rows.dialect)
        if len(fields) < wanted:
            raise UserError(f"{rows.path}, row {row}: {len(fields)} columns instead of {wanted}; is it cut short?")
        split: int | None = rows.default_split
        if "usage" in columns:
            usage = fields[columns["usage"]].decode(errors="replace").lower()
            split = split_of(usage)
            if split is None:
                raise UserError(
                    f"{rows.path}, row {row}: Usage {usage[:20]!r} is none of Training, PublicTest, PrivateTest, "
                    "Validation"
                )
        rows.texts.append(fields[columns["label"]].decode(errors="replace"))
        rows.splits.append(int(split or 0))
        pixels.append(fields[columns["pixels"]])
    if pixels:
        rows.side = rows.side or _side(pixels[0], rows.path, first)
        rows.images.append(_numbers(pixels, first, rows.path, rows.side))


def _fields(line: bytes, dialect: Dialect) -> list[bytes]:
    fields = line.split(dialect.separator)
    if len(fields) > dialect.columns and b'"' in line:  # a separator inside quotes
        text = next(csv.reader(io.StringIO(line.decode()), delimiter=dialect.separator.decode()))
        fields = [field.encode() for field in text]
    return [field.strip(b' "\r') for field in fields]


def _side(pixels: bytes, path: str, row: int) -> int:
    """Return the side of the square images, from the number of pixels of the first one."""
    count = len(pixels.split())
    side = int(count**0.5)
    if side < 8 or side * side != count:
        expected = "2,304" if 1600 < count < 3600 or count < 64 else "a square number"
        raise UserError(f"{path}, row {row}: {count:,} pixels instead of {expected}; repair or remove the row")
    return side


def _numbers(pixels: list[bytes], first: int, path: str, side: int) -> np.ndarray:
    """Parse rows of side * side numbers from 0 to 255 separated by single spaces; uint8 (rows, side, side)."""
    if any(row.count(b" ") != side * side - 1 for row in pixels):
        return _numbers_one_by_one(pixels, first, path, side)
    text = np.frombuffer(b" ".join(pixels) + b" ", np.uint8)
    ends = np.flatnonzero(text == ord(" "))
    lengths = np.diff(ends, prepend=-1) - 1
    digits = text - ord("0")  # a space becomes 240; anything but a digit is above 9
    odd = ((digits > 9) & (text != ord(" "))).any()
    if odd or lengths.min() < 1 or lengths.max() > 3:
        return _numbers_one_by_one(pixels, first, path, side)
    values = digits[ends - 1].astype(np.uint16)
    for place, factor in ((2, 10), (3, 100)):
        # For a shorter number the byte before it belongs to another one: times 0.
        values += digits[np.maximum(ends - place, 0)] * (lengths >= place).astype(np.uint16) * np.uint16(factor)
    if values.max() > 255:
        return _numbers_one_by_one(pixels, first, path, side)
    return values.astype(np.uint8).reshape(-1, side, side)


def _numbers_one_by_one(pixels: list[bytes], first: int, path: str, side: int) -> np.ndarray:
    """Parse rows with any white space between numbers; an error names the row and the value."""
    parsed = []
    for number, row in enumerate(pixels, first):
        values = row.split()
        if len(values) != side * side:
            raise UserError(
                f"{path}, row {number}: {len(values):,} pixels instead of {side * side:,}; repair or remove the row"
            )
        wrong = next((v for v in values if not v.isdigit() or len(v) > 3 or int(v) > 255), None)
        if wrong is not None:
            shown = repr(wrong[:20].decode(errors="replace"))
            raise UserError(f"{path}, row {number}: pixel {shown} is not from 0 to 255; repair or remove the row")
        parsed.append(np.array(values).astype(np.uint8))
    return np.stack(parsed).reshape(-1, side, side)


def _convert(images: np.ndarray, options: DataOptions) -> tuple[np.ndarray, tuple[str, ...]]:
    own = images.shape[1]
    size = options.image_size or choose_size([(own, own)])
    if size == own and options.channels == 1:
        return images, ()
    conversions = Conversions(size, options.channels)
    conversions.sizes[(own, own)], conversions.modes["L"] = len(images), len(images)
    shape = (size, size) if options.channels == 1 else (size, size, 3)
    converted = np.empty((len(images), *shape), np.uint8)
    for k, image in enumerate(images):
        converted[k] = fit(Image.fromarray(image), size, options.channels)
    return converted, conversions.notes()
