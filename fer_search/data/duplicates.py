"""Images that occur more than once, pixel for pixel."""

from __future__ import annotations

import numpy as np

from fer_search.data.dataset import Dataset


def picture_ids(images: np.ndarray) -> np.ndarray:
    """Number the different pictures.

    Args:
        images: uint8 (n, 48, 48).

    Returns:
        int64 (n,): equal for rows with the same pixels; the first picture is 0, the next new one 1, and so on.
    """
    flat = np.ascontiguousarray(images).reshape(len(images), -1)
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in flat], np.int64)


def duplicates_of_train(dataset: Dataset) -> np.ndarray:
    """Return bool (n,): the rows outside train whose pixels also occur in train."""
    pictures = picture_ids(dataset.images)
    train = dataset.splits == 0
    return ~train & np.isin(pictures, pictures[train])
