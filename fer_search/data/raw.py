"""What a reader gives: the content of a source before it is checked and cached."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class RawData:
    """See ``fer_search.data.dataset.Dataset`` for the arrays.

    Args:
        images: uint8 (n, 48, 48).
        labels: uint8 (n,).
        splits: uint8 (n,).
        form: the form that the source had: "class folders", "csv", "npz".
        notes: what was changed while reading, one sentence each.
    """

    images: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    form: str
    notes: tuple[str, ...] = ()
