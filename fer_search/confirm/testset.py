"""The test images, and what a network is worth on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_search.data.dataset import Dataset
from fer_search.data.duplicates import picture_ids
from fer_search.training.score import score

TEST_SPLITS = ("public_test", "private_test", "test")


@dataclass(frozen=True, eq=False)
class TestSet:
    """All test images of a data set.

    Args:
        images: uint8 (n, 48, 48).
        labels: int (n,).
        parts: name -> bool (n,); the data set's test splits, and each without the images that were trained on:
            "public_test", "public_test_new" and so on.
    """

    __test__ = False  # pytest takes it for a test

    images: np.ndarray
    labels: np.ndarray
    parts: dict[str, np.ndarray]

    def score(self, probabilities: np.ndarray) -> dict[str, dict[str, Any]]:
        """Return for each part: images, correct, accuracy, loss and the recall of each class.

        Args:
            probabilities: float (n, 7).
        """
        found = {}
        for name, part in self.parts.items():
            values = score(probabilities[part], self.labels[part])
            images = int(part.sum())
            found[name] = {"images": images, "correct": round(values["accuracy"] * images), **values}
        return found


def make_test_set(dataset: Dataset, trained: np.ndarray) -> TestSet:
    """Return a data set's test images.

    Args:
        dataset: all images.
        trained: int (m,), its rows that are trained on; a test image with the same pixels as one of these is not new.
    """
    rows = dataset.rows(*TEST_SPLITS)
    pictures = picture_ids(dataset.images)
    new = ~np.isin(pictures[rows], pictures[trained])
    parts: dict[str, np.ndarray] = {}
    for name in TEST_SPLITS:
        part = np.isin(rows, dataset.rows(name))
        if part.any():
            parts |= {name: part, f"{name}_new": part & new}
    return TestSet(dataset.images[rows], dataset.labels[rows].astype(np.int64), parts)
