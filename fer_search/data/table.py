"""fer2013.csv (emotion,pixels,Usage) and icml_face_data.csv (emotion, Usage, pixels) -> arrays.

The file has 300 MB of numbers of one to three digits. They are parsed as bytes with NumPy, a few thousand rows at a
time: seconds instead of the minute that ``str.split`` takes, in a fifth of a gigabyte.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np

from fer_search.data.dataset import CLASSES, SIZE
from fer_search.data.raw import RawData
from fer_search.errors import UserError

USAGES = {b"training": 0, b"publictest": 1, b"privatetest": 2, b"test": 3, b"train": 0}
LABELS = {str(c).encode(): c for c in range(len(CLASSES))}
CHUNK = 16_000_000  # bytes parsed at a time
PIXELS = SIZE * SIZE


def read_csv(path: Path) -> RawData:
    """Read a csv of FER2013's form; see ``parse_csv``."""
    with path.open("rb") as file:
        return parse_csv(file, str(path))


def parse_csv(file: IO[bytes], path: str) -> RawData:
    """Read a csv of FER2013's form from an open file.

    Args:
        file: at its beginning.
        path: its name in messages.

    Raises:
        UserError: the header, a row's label, its usage or its pixels are wrong; the message names the row (1 is the
            first after the header).
    """
    images: list[np.ndarray] = []
    labels: list[int] = []
    splits: list[int] = []
    order = _columns(file.readline(), path)
    rest = b""
    while block := file.read(CHUNK):
        lines, _, rest = (rest + block).rpartition(b"\n")
        _parse(lines, order, path, images, labels, splits)
    _parse(rest, order, path, images, labels, splits)
    stacked = np.concatenate(images) if images else np.empty((0, SIZE, SIZE), np.uint8)
    return RawData(stacked, np.array(labels, np.uint8), np.array(splits, np.uint8), "csv")


def _columns(header: bytes, path: str) -> dict[str, int]:
    names = [name.strip().strip('"').lower() for name in header.decode("utf-8-sig", "replace").split(",")]
    missing = [name for name in ("emotion", "pixels", "usage") if name not in names]
    if missing:
        raise UserError(f"{path}: no column {missing[0]!r} in its header; fer2013.csv has emotion,pixels,Usage")
    return {name: names.index(name) for name in ("emotion", "pixels", "usage")}


def _parse(lines: bytes, order: dict[str, int], path: str, images: list, labels: list, splits: list) -> None:
    """Parse whole lines and append what they hold."""
    pixels, first = [], len(labels) + 1
    for line in lines.splitlines():
        if not line.strip():
            continue
        row, fields = len(labels) + 1, [field.strip(b' "\r') for field in line.split(b",")]
        if len(fields) <= max(order.values()):
            wanted = max(order.values()) + 1
            raise UserError(f"{path}, row {row}: {len(fields)} columns instead of {wanted}; is it cut short?")
        label, usage = fields[order["emotion"]], fields[order["usage"]].lower()
        if label not in LABELS:
            raise UserError(f"{path}, row {row}: emotion {_shown(label)} is not from 0 to 6")
        if usage not in USAGES:
            raise UserError(f"{path}, row {row}: Usage {_shown(usage)} is none of Training, PublicTest, PrivateTest")
        labels.append(LABELS[label])
        splits.append(USAGES[usage])
        pixels.append(fields[order["pixels"]])
    if pixels:
        images.append(_numbers(pixels, first, path))


def _numbers(pixels: list[bytes], first: int, path: str) -> np.ndarray:
    """Parse rows of 2,304 numbers from 0 to 255, apart by one space; uint8 (rows, 48, 48)."""
    if any(row.count(b" ") != PIXELS - 1 for row in pixels):
        return _numbers_one_by_one(pixels, first, path)
    text = np.frombuffer(b" ".join(pixels) + b" ", np.uint8)
    ends = np.flatnonzero(text == ord(" "))
    lengths = np.diff(ends, prepend=-1) - 1
    digits = text - ord("0")  # a space becomes 240, anything but a digit is above 9
    odd = ((digits > 9) & (text != ord(" "))).any()
    if odd or lengths.min() < 1 or lengths.max() > 3:
        return _numbers_one_by_one(pixels, first, path)
    values = digits[ends - 1].astype(np.uint16)
    for place, factor in ((2, 10), (3, 100)):
        # Where a number is shorter, the byte before it belongs to another one: times 0.
        values += digits[np.maximum(ends - place, 0)] * (lengths >= place).astype(np.uint16) * np.uint16(factor)
    if values.max() > 255:
        return _numbers_one_by_one(pixels, first, path)
    return values.astype(np.uint8).reshape(-1, SIZE, SIZE)


def _numbers_one_by_one(pixels: list[bytes], first: int, path: str) -> np.ndarray:
    """Parse rows with any white space between; names the row and the value that is wrong."""
    parsed = []
    for number, row in enumerate(pixels, first):
        values = row.split()
        if len(values) != PIXELS:
            raise UserError(
                f"{path}, row {number}: {len(values):,} pixels instead of {PIXELS:,}; mend or remove the row"
            )
        wrong = next((v for v in values if not v.isdigit() or len(v) > 3 or int(v) > 255), None)
        if wrong is not None:
            raise UserError(f"{path}, row {number}: pixel {_shown(wrong)} is not from 0 to 255; mend or remove the row")
        parsed.append(np.array(values).astype(np.uint8))
    return np.stack(parsed).reshape(-1, SIZE, SIZE)


def _shown(field: bytes) -> str:
    return repr(field[:20].decode(errors="replace"))
