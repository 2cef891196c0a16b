"""What a data set holds: counts, blank images, duplicates, conflicting labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_search.data.dataset import SPLITS, TRAIN, Dataset
from fer_search.data.duplicates import duplicates_of_train, in_test, near_pairs, picture_ids
from fer_search.data.plot import plot_samples

__all__ = ["Audit", "audit", "plot_samples"]


@dataclass(frozen=True, eq=False)
class Audit:
    """Result of ``audit``. Splits are in the order of SPLITS, classes in that of the data set.

    Args:
        counts: int64 (splits, classes), images per split and class.
        blank: int64 (splits,), images of a single grey.
        copies: int64 (splits, splits): [a, b] the rows of split a whose pixels also occur in split b; [a, a] the rows
            of a that repeat an earlier row of a.
        repeated: Rows that repeat an earlier row of any split.
        leaked: Test rows whose pixels also occur in train.
        leaking: Training rows whose pixels also occur in a test split; ``--drop-duplicates`` drops them.
        conflicting: int64 (splits,), rows whose pixels occur with several labels.
        conflicts: The sets of labels that an image has, with the number of such images, most frequent first.
        near: Pairs of near copies that are not exact copies.
        near_leaked: Such pairs of a training and a test image.
        near_conflicting: Such pairs with different labels.
        near_leaking: Training rows that are exact or near copies of test images; ``--drop-duplicates near`` drops them.
    """

    counts: np.ndarray
    blank: np.ndarray
    copies: np.ndarray
    repeated: int
    leaked: int
    leaking: int
    conflicting: np.ndarray
    conflicts: tuple[tuple[tuple[int, ...], int], ...]
    near: int = 0
    near_leaked: int = 0
    near_conflicting: int = 0
    near_leaking: int = 0


def audit(dataset: Dataset, cache: Path | None = None) -> Audit:
    """Audit a data set.

    Args:
        dataset: The data set.
        cache: Cache folder, instead of the user's.
    """
    labels, splits = dataset.labels, dataset.splits
    flat = dataset.images.reshape(len(labels), -1)
    pictures, tested = picture_ids(dataset.images), in_test(dataset)
    conflicting, conflicts = _conflicts(pictures, labels)
    classes = len(dataset.classes)
    pairs = near_pairs(dataset, cache)
    pairs = pairs[pictures[pairs[:, 0]] != pictures[pairs[:, 1]]]
    across = tested[pairs[:, 0]] != tested[pairs[:, 1]]
    leaking = ~tested & np.isin(pictures, pictures[tested])
    near_leaking = leaking.copy()
    near_leaking[pairs[across].ravel()] = True
    return Audit(
        counts=np.array([np.bincount(labels[splits == k], minlength=classes) for k in range(len(SPLITS))]),
        blank=_per_split(splits, flat.min(axis=1) == flat.max(axis=1)),
        copies=_copies(pictures, splits),
        repeated=len(pictures) - len(np.unique(pictures)),
        leaked=int((duplicates_of_train(dataset) & tested).sum()),
        leaking=int((leaking & (splits == TRAIN)).sum()),
        conflicting=_per_split(splits, conflicting),
        conflicts=conflicts,
        near=len(pairs),
        near_leaked=int(across.sum()),
        near_conflicting=int((labels[pairs[:, 0]] != labels[pairs[:, 1]]).sum()),
        near_leaking=int((near_leaking & ~tested).sum()),
    )


def _per_split(splits: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.bincount(splits[rows], minlength=len(SPLITS))


def _copies(pictures: np.ndarray, splits: np.ndarray) -> np.ndarray:
    copies = np.zeros((len(SPLITS), len(SPLITS)), np.int64)
    parts = [pictures[splits == k] for k in range(len(SPLITS))]
    for a, own in enumerate(parts):
        for b, other in enumerate(parts):
            copies[a, b] = len(own) - len(np.unique(own)) if a == b else np.isin(own, other).sum()
    return copies


def _conflicts(pictures: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, tuple[tuple[tuple[int, ...], int], ...]]:
    """Return bool (n,), the rows whose pixels have several labels, and how often which labels meet."""
    given = np.unique(np.stack([pictures, labels], axis=1), axis=0)  # each picture with each of its labels, in order
    ambiguous = np.bincount(given[:, 0]) > 1
    met = Counter(tuple(given[given[:, 0] == picture, 1].tolist()) for picture in np.flatnonzero(ambiguous))
    return ambiguous[pictures], tuple(met.most_common())
