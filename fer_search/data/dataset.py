"""The internal form of every data set."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fer_search.data.spec import FER2013_CLASSES, DataSpec
from fer_search.errors import UserError

SPLITS = ("train", "public_test", "private_test", "test", "validation")  # "test": not divided into public and private
TRAIN, TEST, VALIDATION = 0, 3, 4
TEST_SPLITS = ("public_test", "private_test", "test")
MAX_TEST_RATIO = 2  # more test than training images by this factor suggests that the two were exchanged


@dataclass(frozen=True, eq=False)
class Dataset:
    """Faces with their labels.

    Args:
        images: uint8 (n, size, size), grey, or (n, size, size, 3), RGB; memory-mapped and read-only if from the cache.
        labels: uint8 (n,), indices into ``classes``.
        splits: uint8 (n,), indices into SPLITS.
        name: Name for display.
        source: Path it was read from, or "toy"; several paths are joined by " + ".
        toy: Whether these are the synthetic faces.
        notes: What was changed while reading, one sentence each.
        classes: Name of each class, in label order.
        origins: uint8 (n,), index into ``origin_names`` of the source of each image, or None for a single source.
        origin_names: Paths of the sources.
        groups: int (n,), images with the same number show the same person, or None if persons are unknown.
    """

    images: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    name: str
    source: str
    toy: bool = False
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = FER2013_CLASSES
    origins: np.ndarray | None = None
    origin_names: tuple[str, ...] = ()
    groups: np.ndarray | None = None

    @property
    def spec(self) -> DataSpec:
        """Image size, channels and class names."""
        return DataSpec(self.images.shape[1], 3 if self.images.ndim == 4 else 1, self.classes)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of the sha256 of images, labels, splits and class names.

        fer2013.csv and its .npz give the same; class folders, which lose the order and the division of the test
        images, give another, which does not depend on whether they are zipped or on the names of the layout.
        """
        return fingerprint(self.images, self.labels, self.splits, self.classes)

    def rows(self, *splits: str) -> np.ndarray:
        """Return the indices of the images in the named splits, in order; int64."""
        return np.flatnonzero(np.isin(self.splits, [SPLITS.index(split) for split in splits]))


def fingerprint(
    images: np.ndarray, labels: np.ndarray, splits: np.ndarray, classes: tuple[str, ...] = FER2013_CLASSES
) -> str:
    """Return the fingerprint of a data set's content (see ``Dataset.fingerprint``)."""
    digest = hashlib.sha256()
    for array in (images, labels, splits):
        digest.update(np.ascontiguousarray(array).data)
    if classes != FER2013_CLASSES:
        digest.update("\0".join(classes).encode())
    if images.ndim == 4 or images.shape[1:2] != (48,):
        digest.update(repr(images.shape[1:]).encode())
    return digest.hexdigest()[:16]


def check(labels: np.ndarray, splits: np.ndarray, source: str, classes: tuple[str, ...] = FER2013_CLASSES) -> None:
    """Reject data that cannot be used for a search.

    Args:
        labels: uint8 (n,).
        splits: uint8 (n,).
        source: Name of the data in messages.
        classes: Name of each class.

    Raises:
        UserError: There are no images, no training images, fewer than two classes, a class without training images,
            or training and test images seem to be exchanged.
    """
    train = labels[splits == TRAIN]
    if not len(labels):
        raise UserError(f"{source}: no images found; it should hold train/ and test/ with a folder for each emotion")
    if not len(train):
        raise UserError(
            f"{source}: no training images; call their folder train (csv: Usage Training; npz: x_train, y_train)"
        )
    if len(classes) < 2:
        raise UserError(f"{source}: only one class, {classes[0]}; a classifier needs at least two (--classes)")
    tested = int(np.isin(splits, [SPLITS.index(name) for name in TEST_SPLITS]).sum())
    if tested > MAX_TEST_RATIO * len(train):
        raise UserError(
            f"{source}: {len(train):,} training and {tested:,} test images; are train and test exchanged? Rename them"
        )
    missing = [name for c, name in enumerate(classes) if not (train == c).any()]
    if missing:
        raise UserError(
            f"{source}: no training image of {', '.join(missing)}; every class needs some, or choose the classes "
            "with --classes"
        )
