"""The one form that every data set takes inside fer-search."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from fer_search.errors import UserError

CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # the labels 0 to 6 of fer2013.csv
SPLITS = ("train", "public_test", "private_test", "test")  # "test": public and private not told apart (class folders)
SIZE = 48


@dataclass(frozen=True, eq=False)
class Dataset:
    """Grey faces with their labels.

    Args:
        images: uint8 (n, 48, 48); memory-mapped and read-only where it comes from the cache.
        labels: uint8 (n,), indices into CLASSES.
        splits: uint8 (n,), indices into SPLITS.
        name: what it is, for people.
        source: the path that it was read from, or "toy".
        toy: whether these are the drawn faces.
        notes: what was changed while reading, one sentence each.
    """

    images: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    name: str
    source: str
    toy: bool = False
    notes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """16 hex digits of the sha256 of images, labels and splits, in their order.

        fer2013.csv and its .npz give the same; class folders, which have lost the order and who was public test, give
        another, the same zipped and under either layout's names.
        """
        return fingerprint(self.images, self.labels, self.splits)

    def rows(self, *splits: str) -> np.ndarray:
        """Return the indices of the images in the named splits, in order; int64."""
        return np.flatnonzero(np.isin(self.splits, [SPLITS.index(split) for split in splits]))


def fingerprint(images: np.ndarray, labels: np.ndarray, splits: np.ndarray) -> str:
    """Return the fingerprint of a content (see ``Dataset.fingerprint``)."""
    digest = hashlib.sha256()
    for array in (images, labels, splits):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def check(labels: np.ndarray, splits: np.ndarray, source: str) -> None:
    """Refuse what cannot be a data set for a search.

    Args:
        labels: uint8 (n,).
        splits: uint8 (n,).
        source: named in the message.

    Raises:
        UserError: there is no image, no train or no test split, a class without training images, or train and test seem
            to be exchanged.
    """
    train = labels[splits == 0]
    if not len(labels):
        raise UserError(f"{source}: no images found; it should hold train/ and test/ with a folder for each emotion")
    if not len(train):
        raise UserError(
            f"{source}: no training images; call their folder train (csv: Usage Training; npz: x_train, y_train)"
        )
    if len(train) == len(labels):
        raise UserError(
            f"{source}: no test images; call their folder test (csv: Usage PublicTest; npz: x_test, y_test)"
        )
    if len(labels) - len(train) > 2 * len(train):
        raise UserError(
            f"{source}: {len(train):,} training and {len(labels) - len(train):,} test images; are train and test "
            "exchanged? Rename them"
        )
    missing = [name for c, name in enumerate(CLASSES) if not (train == c).any()]
    if missing:
        raise UserError(f"{source}: no training image of {', '.join(missing)}; every one of the 7 classes needs some")
