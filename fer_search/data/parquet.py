"""Parquet as Hugging Face's datasets exports it: pictures as bytes, and a label column."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fer_search.data.dataset import TRAIN
from fer_search.data.images import decode_all
from fer_search.data.labels import resolve_labels
from fer_search.data.limits import check_size, open_file
from fer_search.data.options import DataOptions
from fer_search.data.raw import RawData
from fer_search.data.splits import split_of, split_of_file
from fer_search.data.table import LABEL_COLUMNS
from fer_search.errors import UserError

IMAGE_COLUMNS = ("image", "img", "pixels", "picture", "img_bytes")


def read_parquet(files: Sequence[Path], options: DataOptions, cache: Path | None = None) -> RawData:
    """Read parquet files; the beginning of a file's name, or its folder's name, says its split.

    Args:
        files: The files of one data set, at least one.
        options: Classes, size and colour.
        cache: Cache folder, for images too large for memory.

    Raises:
        UserError: pyarrow is missing, a file is damaged or has no images and labels; the message names it.
    """
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile, read_table
    except ImportError as error:
        raise UserError(f"{files[0]}: reading parquet needs pyarrow: pip install '.[parquet]'") from error
    contents: list[tuple[str, Callable[[], bytes]]] = []
    texts: list[str] = []
    splits: list[int] = []
    for file in files:
        try:
            with open_file(file) as source:
                groups = ParquetFile(source).metadata
                sizes = [groups.row_group(k).total_byte_size for k in range(groups.num_row_groups)]
            check_size(sum(sizes), f"{file}, unpacked,")
            table = read_table(file)
        except (ArrowInvalid, OSError) as error:
            raise UserError(f"{file} is not a whole parquet file ({str(error).splitlines()[0]})") from error
        image, label = _column(table, IMAGE_COLUMNS, file), _column(table, LABEL_COLUMNS, file)
        names = _class_names(table, label)
        values = table[label].to_pylist()
        texts += [names[v] if names and isinstance(v, int) and 0 <= v < len(names) else str(v) for v in values]
        rows = table[image]
        contents += [(f"{file}, row {k + 1}", partial(_picture_bytes, rows, k)) for k in range(len(values))]
        splits += [_split(file)] * len(values)
    labels = resolve_labels(texts, options, lambda row: f"{contents[row][0]}: label", str(files[0].parent))
    kept = np.flatnonzero(labels.kept).tolist()
    images, notes = decode_all([contents[row] for row in kept], options, cache)
    return RawData(
        images,
        labels.labels[kept],
        np.array(splits, np.uint8)[kept],
        "parquet",
        (*notes, *labels.notes),
        labels.classes,
    )


def _column(table: Any, names: Sequence[str], file: Path) -> str:
    for name in table.column_names:
        if name.lower() in names:
            return str(name)
    raise UserError(f"{file}: no column {names[0]!r} in it, but {', '.join(table.column_names)}")


def _class_names(table: Any, label: str) -> list[str] | None:
    """Return the names of the numbers in the label column, from the metadata that datasets writes."""
    try:
        features = json.loads((table.schema.metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features[label]["names"]]
    except (LookupError, TypeError, ValueError):
        return None


def _picture_bytes(column: Any, row: int) -> bytes:
    value = column[row].as_py()
    content = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(content, bytes):
        raise ValueError("it holds no bytes of a picture")
    return content


def _split(file: Path) -> int:
    for split in (split_of_file(file.name), split_of(file.stem), split_of(file.parent.name)):
        if split is not None:
            return split
    return TRAIN
