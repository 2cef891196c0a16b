"""The result of a reader: the content of a source before it is checked and cached."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fer_search.data.spec import FER2013_CLASSES


@dataclass(frozen=True, eq=False)
class RawData:
    """See ``fer_search.data.dataset.Dataset`` for the arrays.

    Args:
        images: uint8 (n, size, size) or (n, size, size, 3).
        labels: uint8 (n,).
        splits: uint8 (n,).
        form: Format of the source: "class folders", "csv", "npz", ...
        notes: What was changed while reading, one sentence each.
        classes: Name of each class, in label order.
        names: bytes (n,), UTF-8 file name of each image within the source; None if images have no files.
    """

    images: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    form: str
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = FER2013_CLASSES
    names: np.ndarray | None = None
