"""Which images a search trains on, validates on and leaves for the test."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_search.data.dataset import TEST, TEST_SPLITS, VALIDATION, Dataset
from fer_search.data.duplicates import components, in_test, near_ids, picture_ids
from fer_search.data.options import DEFAULT_TEST
from fer_search.errors import UserError

OWN = "own"  # --validation own: the data set's own validation split
DEFAULT_VALIDATION = 0.1
NEAR = "near"  # --drop-duplicates near
TEST_SEED = 2013  # the same test images for every run on the same data


@dataclass(frozen=True, eq=False)
class Split:
    """The images a search uses.

    Args:
        train: Rows of the data set, int64.
        validation: Rows of the data set, int64.
        protocol: "holdout" or "report".
        note: A sentence without its full stop, for every output.
    """

    train: np.ndarray
    validation: np.ndarray
    protocol: str
    note: str


def make_split(
    dataset: Dataset,
    *,
    protocol: str = "holdout",
    validation: float | str | None = 0.1,
    seed: int = 0,
    limit_train: int | None = None,
    drop_duplicates: bool | str = False,
    near: bool = True,
) -> Split:
    """Choose the images that a search uses; depends only on the data's content and the arguments.

    Args:
        dataset: All images.
        protocol: "holdout" validates on a stratified part of train, or the data's own validation split, and leaves the
            test images alone; "report" trains on all of train and validates on all test images, as the course report
            did.
        validation: Fraction of train that "holdout" holds out, "own" for the data set's validation split, or None for
            "own" if there is one and otherwise 0.1. Copies of an image, and images of one person if persons are known,
            stay on one side.
        seed: Random seed.
        limit_train: Train on a stratified subset of this many images. "holdout" then validates on half as many, at
            least 10 per class, so that a small search does not spend its time validating.
        near: Keep near copies on one side too, not only exact ones (as versions before this did).
        drop_duplicates: Drop training images that also occur in a test split: True for exact copies, "near" for near
            copies too.
    """
    rng = np.random.default_rng([seed, 48])
    train = dataset.rows("train")
    classes = len(dataset.classes)
    validation = resolve_validation(validation, dataset)
    if validation != OWN or protocol == "report":
        train = np.sort(np.concatenate([train, dataset.rows("validation")]))
    notes = []
    if drop_duplicates:
        kept = _without_duplicates(dataset, train, drop_duplicates == NEAR)
        notes.append(f"{len(train) - len(kept)} training images that occur in the test data are left out")
        train = kept
    if protocol == "report":
        held = dataset.rows(*TEST_SPLITS)
        if not len(held):
            raise UserError(f"{dataset.source}: --protocol report validates on test images, and there are none")
        note = (
            f"the report's: validated, scheduled and selected on the {len(held):,} test images, randomly augmented, so "
            "no accuracy here is of unseen data"
        )
    else:
        units = near_ids(dataset) if near and validation != OWN else None
        held, train, whence = _validation(dataset, train, validation, rng, units)
        if limit_train is not None and limit_train < len(train):
            held = _stratified(dataset.labels, held, max(limit_train // 2, 10 * classes), classes, rng)
        note = f"validated on {len(held):,} images {whence}"
        if dataset.rows(*TEST_SPLITS).size:
            note += "; the test images are not touched"
    if limit_train is not None and limit_train < len(train):
        train = _stratified(dataset.labels, train, limit_train, classes, rng)
        notes.insert(0, f"trained on {len(train):,} of the images")
    return Split(np.sort(train), np.sort(held), protocol, "; ".join([note, *notes]))


def resolve_validation(validation: float | str | None, dataset: Dataset) -> float | str:
    """Return what --validation means for a data set; None is "own" if it has a validation split, otherwise 0.1."""
    if validation is not None:
        return validation
    return OWN if (dataset.splits == VALIDATION).any() else DEFAULT_VALIDATION


def _validation(
    dataset: Dataset, train: np.ndarray, validation: float | str, rng: np.random.Generator, units: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the rows to validate on, those to train on, and where the former come from."""
    if validation == OWN:
        held = dataset.rows("validation")
        if not len(held):
            raise UserError(f"{dataset.source} has no validation split; --validation own needs one (a folder val/)")
        return held, train, "of its own validation split"
    held, train = hold_out(dataset, train, float(validation), rng, units)
    return held, train, "held out of train"


def _without_duplicates(dataset: Dataset, train: np.ndarray, near: bool) -> np.ndarray:
    pictures = near_ids(dataset) if near else picture_ids(dataset.images)
    return train[~np.isin(pictures[train], pictures[in_test(dataset)])]


def set_test_aside(dataset: Dataset, fraction: float | None = None, folder: Path | None = None) -> Dataset:
    """Return the data set with a stratified part of train as test images, if it has none.

    The part depends only on the images, so that every run on the same data has the same test images. Copies and near
    copies of an image, and images of one person if persons are known, stay on one side.

    Args:
        dataset: The data set.
        fraction: Fraction of the training images; None for 0.1. 0 leaves the data set without test images.
        folder: Cache folder, instead of the user's.

    Raises:
        UserError: A fraction is given and the data set has test images, or a class is too small.
    """
    if in_test(dataset).any():
        if fraction is not None:
            raise UserError(f"{dataset.source} has test images of its own; --test is for data without")
        return dataset
    fraction = DEFAULT_TEST if fraction is None else fraction
    if not fraction:
        return dataset
    train = dataset.rows("train")
    units = near_ids(dataset, folder)
    held, _ = hold_out(dataset, train, fraction, np.random.default_rng(TEST_SEED), units)
    splits = np.array(dataset.splits)
    splits[held] = TEST
    how = ", by person" if dataset.groups is not None else ""
    note = f"no test images: {len(held):,} of {len(train):,} training images are set aside for the test{how}"
    return dataclasses.replace(dataset, splits=splits, notes=(*dataset.notes, note))


def hold_out(
    dataset: Dataset, rows: np.ndarray, share: float, rng: np.random.Generator, units: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows held out and the others: of each class the fraction, never parting copies or persons.

    Args:
        dataset: All images.
        rows: Rows to divide, int64.
        share: Fraction to hold out.
        rng: Source of randomness.
        units: int (n,) for all images: rows with the same number stay together; exact copies if None. Persons are
            kept together in any case.
    """
    exact = picture_ids(dataset.images[rows])
    units = exact if units is None else np.unique(units[rows], return_inverse=True)[1]
    if dataset.groups is not None:
        return _hold_out_people(dataset, rows, share, rng, units)
    labels = dataset.labels[rows]
    firsts = np.unique(units, return_index=True)[1]  # a picture with several labels belongs to its first one's class
    if len(firsts) < len(np.unique(exact)) and np.bincount(labels[firsts], minlength=len(dataset.classes)).min() < 2:
        units, firsts = exact, np.unique(exact, return_index=True)[1]  # all images of a class are nearly the same
    chosen = []
    for c, name in enumerate(dataset.classes):
        own = rng.permutation(units[firsts][labels[firsts] == c])
        if len(own) < 2:
            count = "only one training image" if len(own) else "no training image"
            raise UserError(
                f"{dataset.source}: {name} has {count}, copies not counted, and validation takes one as well; add "
                f"images, or leave the class out: --map {name}=drop"
            )
        chosen.append(own[: min(max(1, round(share * len(own))), len(own) - 1)])
    held = np.isin(units, np.concatenate(chosen))
    return rows[held], rows[~held]


def _hold_out_people(
    dataset: Dataset, rows: np.ndarray, share: float, rng: np.random.Generator, units: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Hold out whole persons: in random order, each one who brings the classes closer to their fractions."""
    assert dataset.groups is not None
    people = np.unique(dataset.groups[rows], return_inverse=True)[1]
    edges = np.stack([people, people.max() + 1 + units], axis=1)  # a person and the pictures that show them
    people = np.unique(components(edges, int(edges.max()) + 1)[people], return_inverse=True)[1]
    counts = np.zeros((people.max() + 1, len(dataset.classes)))
    np.add.at(counts, (people, dataset.labels[rows]), 1)
    if len(counts) < 2:
        raise UserError(f"{dataset.source}: --group-by finds one person only, who cannot be on both sides")
    wanted, held = share * counts.sum(axis=0), np.zeros(len(dataset.classes))
    chosen = np.zeros(len(counts), bool)
    for person in rng.permutation(len(counts)):
        closer = np.abs(held + counts[person] - wanted).sum() < np.abs(held - wanted).sum()
        if closer or not chosen.any():
            chosen[person], held = True, held + counts[person]
    if chosen.all():
        chosen[rng.integers(len(counts))] = False
    left = counts[~chosen].sum(axis=0)
    if missing := [name for c, name in enumerate(dataset.classes) if not left[c]]:
        raise UserError(f"{dataset.source}: no person is left to train {missing[0]} on; hold less out")
    inside = chosen[people]
    return rows[inside], rows[~inside]


def _stratified(labels: np.ndarray, rows: np.ndarray, count: int, classes: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``count`` of the rows, the same fraction of each class, at least one of each."""
    if count >= len(rows):
        return rows
    sizes = np.bincount(labels[rows], minlength=classes)
    exact = sizes * (count / len(rows))
    wanted = np.maximum(np.floor(exact), np.minimum(sizes, 1)).astype(int)
    while wanted.sum() < count:  # the largest remainders get what rounding down left over
        wanted[np.argmax(exact - wanted)] += 1
    while wanted.sum() > max(count, np.count_nonzero(sizes)):  # what rare classes got too much
        wanted[np.argmax(wanted)] -= 1
    return np.concatenate([rng.permutation(rows[labels[rows] == c])[: wanted[c]] for c in range(classes)])
