"""The test images of a data set, and the scores of a network on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_search.data.dataset import TEST_SPLITS, Dataset
from fer_search.data.duplicates import picture_ids
from fer_search.training.score import score


@dataclass(frozen=True, eq=False)
class TestSet:
    """All test images of a data set.

    Args:
        images: uint8 (n, height, width).
        labels: int (n,), indices into ``class_names``.
        parts: Name -> mask, bool (n,): each test split of the data set, and the same without images that also occur in
            the training data, if any are left: "public_test", "public_test_new" and so on.
        class_names: Name of each class, in label order.
    """

    __test__ = False  # or pytest would collect it

    images: np.ndarray
    labels: np.ndarray
    parts: dict[str, np.ndarray]
    class_names: tuple[str, ...]

    def score(self, probabilities: np.ndarray) -> dict[str, dict[str, Any]]:
        """Return "images", "correct", "accuracy", "loss" and the recall of each class, for each part.

        Args:
            probabilities: Float (n, classes).
        """
        scores = {}
        for name, part in self.parts.items():
            values = score(probabilities[part], self.labels[part], self.class_names)
            images = int(part.sum())
            scores[name] = {"images": images, "correct": round(values["accuracy"] * images), **values}
        return scores


def make_test_set(dataset: Dataset, trained: np.ndarray) -> TestSet:
    """Return the test images of a data set.

    Args:
        dataset: Data set.
        trained: Indices of the images trained on, int (m,); a test image with the same pixels as one of these is not
            new.
    """
    rows = dataset.rows(*TEST_SPLITS)
    pictures = picture_ids(dataset.images)
    new = ~np.isin(pictures[rows], pictures[trained])
    parts: dict[str, np.ndarray] = {}
    for name in TEST_SPLITS:
        part = np.isin(rows, dataset.rows(name))
        if part.any():
            parts[name] = part
            if (part & new).any():
                parts[f"{name}_new"] = part & new
    return TestSet(dataset.images[rows], dataset.labels[rows].astype(np.int64), parts, dataset.classes)
