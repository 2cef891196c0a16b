"""Parquet as Hugging Face's datasets exports it: pictures as bytes, and a label column."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fer_search.data.dataset import TRAIN
from fer_search.data.images import Content, decode_all
from fer_search.data.labels import resolve_labels
from fer_search.data.limits import Total, check_size, max_bytes, open_file
from fer_search.data.options import DataOptions
from fer_search.data.raw import RawData
from fer_search.data.splits import split_of, split_of_file
from fer_search.data.table import LABEL_COLUMNS
from fer_search.errors import UserError

IMAGE_COLUMNS = ("image", "img", "pixels", "picture", "img_bytes")
BATCH_ROWS = 64  # decoded at a time, at most; more are hardly faster
ROW_BYTES = 512  # that a row takes in the lists here


def read_parquet(files: Sequence[Path], options: DataOptions, cache: Path | None = None) -> RawData:
    """Read parquet files; the beginning of a file's name, or its folder's name, says its split.

    Args:
        files: The files of one data set, at least one.
        options: Classes, size and colour.
        cache: Cache folder, for images too large for memory.

    Raises:
        UserError: pyarrow is missing, a file is damaged or has no images and labels; the message names it.
    """
    contents: list[tuple[str, Content]] = []
    texts: list[str] = []
    splits: list[int] = []
    total = Total(str(files[0] if len(files) == 1 else files[0].parent))
    for file in files:
        pictures, values = _read_file(file, total)
        texts += values
        contents += [(f"{file}, row {k + 1}", picture) for k, picture in enumerate(pictures)]
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


def _read_file(file: Path, total: Total) -> tuple[list[Content], list[str]]:
    """Return a function for each row that returns its picture, and the labels."""
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise UserError(f"{file}: reading parquet needs pyarrow: pip install '.[parquet]'") from error
    pictures: list[Content] = []
    texts: list[str] = []
    try:
        with open_file(file) as source, ParquetFile(source) as parquet:
            schema = parquet.schema_arrow
            image, label = _column(schema, IMAGE_COLUMNS, file), _column(schema, LABEL_COLUMNS, file)
            names = _class_names(schema, label)
            columns = [_bytes_column(schema.field(image), file), _label_column(schema.field(label), file)]
            for batch in parquet.iter_batches(_batch_rows(parquet.metadata, columns, total), columns=columns):
                total.add(batch.nbytes + ROW_BYTES * len(batch))
                rows, values = batch.column(image), batch.column(label).to_pylist()
                pictures += [partial(_picture_bytes, rows, k) for k in range(len(batch))]
                texts += [names[v] if names and isinstance(v, int) and 0 <= v < len(names) else str(v) for v in values]
    except (ArrowInvalid, OSError) as error:
        raise UserError(f"{file} is not a whole parquet file ({str(error).splitlines()[0]})") from error
    return pictures, texts


def _batch_rows(metadata: Any, columns: Sequence[str], total: Total) -> int:
    """Return how many rows may be decoded at a time; refuse columns that declare more than the bound.

    A value that is stored once, in a column's dictionary, may be that of every row. So each row may have as many bytes
    as the column.
    """
    declared = [0]
    for k in range(metadata.num_row_groups):
        group = metadata.row_group(k)
        chunks = (group.column(number) for number in range(group.num_columns))
        declared.append(sum(c.total_uncompressed_size for c in chunks if c.path_in_schema in columns))
    check_size(total.bytes + sum(declared), f"{total.name}, unpacked,")
    return max(1, min(BATCH_ROWS, max_bytes() // max(1, *declared)))


def _label_column(field: Any, file: Path) -> str:
    """Return the name of the column with the labels; a list in one row could be of any length."""
    from pyarrow import types

    if types.is_nested(field.type):
        raise UserError(f"{file}: its column {field.name!r} holds no labels, but {field.type}")
    return str(field.name)


def _bytes_column(field: Any, file: Path) -> str:
    """Return the path of the column with the pictures' bytes: what lies beside it is not read."""
    from pyarrow import types

    name, kind = str(field.name), field.type
    if types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        name, kind = f"{name}.bytes", kind.field("bytes").type
    kind = kind.value_type if types.is_dictionary(kind) else kind
    known = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
    if not any(is_kind(kind) for is_kind in known):
        raise UserError(f"{file}: its column {field.name!r} holds no bytes of pictures, but {kind}")
    return name


def _column(schema: Any, names: Sequence[str], file: Path) -> str:
    for name in schema.names:
        if name.lower() in names:
            return str(name)
    raise UserError(f"{file}: no column {names[0]!r} in it, but {', '.join(schema.names)}")


def _class_names(schema: Any, label: str) -> list[str] | None:
    """Return the names of the numbers in the label column, from the metadata that datasets writes."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
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
