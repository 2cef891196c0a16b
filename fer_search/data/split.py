"""Which images a search trains on, and which it validates on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fer_search.data.dataset import CLASSES, Dataset
from fer_search.data.duplicates import picture_ids
from fer_search.errors import UserError


@dataclass(frozen=True, eq=False)
class Split:
    """What a search sees.

    Args:
        train: rows of the data set, int64.
        validation: rows of the data set, int64.
        protocol: "holdout" or "report".
        note: a sentence without its full stop, for every output.
    """

    train: np.ndarray
    validation: np.ndarray
    protocol: str
    note: str


def make_split(
    dataset: Dataset,
    *,
    protocol: str = "holdout",
    validation: float = 0.1,
    seed: int = 0,
    limit_train: int | None = None,
    drop_duplicates: bool = False,
) -> Split:
    """Choose the images that a search sees; depends on the data's content and the arguments alone.

    Args:
        dataset: all images.
        protocol: "holdout" validates on a part of train, the same share of each class, and leaves the test images
            alone; "report" trains on all of train and validates on all test images, as the course report did.
        validation: share of train that "holdout" holds out; images with the same pixels stay on one side.
        seed: of what is random.
        limit_train: train on this many images, the same share of each class. "holdout" then validates on half as many,
            at least 70: a search on few images should not spend its time validating.
        drop_duplicates: leave out the training images whose pixels occur in a test split.
    """
    rng = np.random.default_rng([seed, 48])
    train = dataset.rows("train")
    notes = []
    if drop_duplicates:
        pictures = picture_ids(dataset.images)
        kept = train[~np.isin(pictures[train], pictures[dataset.splits != 0])]
        notes.append(f"{len(train) - len(kept)} training images that occur in the test data are left out")
        train = kept
    if protocol == "report":
        held = dataset.rows("public_test", "private_test", "test")
        note = (
            f"the report's: validated, scheduled and selected on the {len(held):,} test images, randomly augmented, so "
            "no accuracy here is of unseen data"
        )
    else:
        held, train = _hold_out(dataset, train, validation, rng)
        if limit_train is not None and limit_train < len(train):
            held = _stratified(dataset.labels, held, max(limit_train // 2, 10 * len(CLASSES)), rng)
        note = f"validated on {len(held):,} images held out of train; the test images are not touched"
    if limit_train is not None and limit_train < len(train):
        train = _stratified(dataset.labels, train, limit_train, rng)
        notes.insert(0, f"trained on {len(train):,} of the images")
    return Split(np.sort(train), np.sort(held), protocol, "; ".join([note, *notes]))


def _hold_out(
    dataset: Dataset, rows: np.ndarray, share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows held out and the others: of each class the share, whole pictures with all their copies."""
    pictures, labels = picture_ids(dataset.images[rows]), dataset.labels[rows]
    firsts = np.unique(pictures, return_index=True)[1]  # a picture with several labels belongs to its first one's class
    chosen = []
    for c, name in enumerate(CLASSES):
        own = rng.permutation(pictures[firsts][labels[firsts] == c])
        if len(own) < 2:
            raise UserError(
                f"{dataset.source}: {name} has {len(own)} different training images, too few to hold one out"
            )
        chosen.append(own[: min(max(1, round(share * len(own))), len(own) - 1)])
    held = np.isin(pictures, np.concatenate(chosen))
    return rows[held], rows[~held]


def _stratified(labels: np.ndarray, rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``count`` of the rows, the same share of each class, at least one of each."""
    if count >= len(rows):
        return rows
    sizes = np.bincount(labels[rows], minlength=len(CLASSES))
    exact = sizes * (count / len(rows))
    wanted = np.maximum(np.floor(exact), np.minimum(sizes, 1)).astype(int)
    while wanted.sum() < count:  # the largest remainders get what rounding down left over
        wanted[np.argmax(exact - wanted)] += 1
    while wanted.sum() > max(count, np.count_nonzero(sizes)):  # what rare classes got too much
        wanted[np.argmax(wanted)] -= 1
    return np.concatenate([rng.permutation(rows[labels[rows] == c])[: wanted[c]] for c in range(len(CLASSES))])
