"""The split into training and validation images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_search.data.dataset import Dataset
from fer_search.data.duplicates import picture_ids
from fer_search.data.load import load_dataset
from fer_search.data.spec import FER2013_CLASSES as CLASSES
from fer_search.data.split import make_split
from fer_search.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (400, 48, 48)).astype(np.uint8)


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    """Draw data sets with duplicates within and across splits, some with conflicting labels."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    train, test = draw(st.integers(60, 250)), draw(st.integers(5, 100))
    pictures = np.arange(train + test)
    for row in rng.integers(0, train + test, draw(st.integers(0, 60))):
        pictures[row] = pictures[rng.integers(0, train + test)]
    pictures[:14] = np.arange(14) + 380  # each class has at least two different training images
    labels = rng.choice(7, train + test, p=[0.3, 0.02, 0.1, 0.28, 0.1, 0.1, 0.1])
    labels[:14] = np.arange(14) % 7
    splits = np.concatenate([np.zeros(train), rng.integers(1, 4, test)])
    return Dataset(PIXELS[pictures], labels.astype(np.uint8), splits.astype(np.uint8), "drawn", "test")


def class_fractions(labels: np.ndarray) -> np.ndarray:
    return np.bincount(labels, minlength=len(CLASSES)) / len(labels)


@given(data=datasets(), fraction=st.floats(0.05, 0.6), seed=st.integers(0, 99), drop=st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_training_image_is_on_exactly_one_side(data: Dataset, fraction: float, seed: int, drop: bool) -> None:
    split = make_split(data, validation=fraction, seed=seed, drop_duplicates=drop)
    pictures = picture_ids(data.images)
    train = data.rows("train")
    if drop:
        train = train[~np.isin(pictures[train], pictures[data.splits != 0])]
    both = np.concatenate([split.train, split.validation])
    np.testing.assert_array_equal(np.sort(both), train)  # no duplicates, no losses, no test images
    assert not np.isin(pictures[split.train], pictures[split.validation]).any()
    assert set(data.labels[split.train]) == set(range(7))
    for rows in (split.train, split.validation):
        assert rows.dtype == np.int64
        assert (np.diff(rows) > 0).all()


@given(data=datasets(), fraction=st.floats(0.05, 0.6), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_each_class_contributes_its_fraction(data: Dataset, fraction: float, seed: int) -> None:
    """Counted in distinct images: at least one, at most all but one, otherwise the rounded fraction."""
    split = make_split(data, validation=fraction, seed=seed)
    train = data.rows("train")
    pictures = picture_ids(data.images[train])
    first = np.unique(pictures, return_index=True)[1]
    held = np.isin(train[first], split.validation)
    for c in range(7):
        own = held[data.labels[train[first]] == c]
        assert own.sum() == np.clip(round(fraction * len(own)), 1, len(own) - 1)


@given(data=datasets(), seed=st.integers(0, 99), limit=st.integers(14, 200))
@settings(max_examples=40, deadline=None)
def test_a_limit_preserves_the_class_balance(data: Dataset, seed: int, limit: int) -> None:
    full = make_split(data, seed=seed)
    part = make_split(data, seed=seed, limit_train=limit)
    assert set(part.train) <= set(full.train)
    assert set(part.validation) <= set(full.validation)
    assert len(part.train) == min(limit, len(full.train))
    if limit < len(full.train):
        assert f"trained on {limit} of the images" in part.note
    counts = np.bincount(data.labels[part.train], minlength=7)
    exact = class_fractions(data.labels[full.train]) * len(part.train)
    small = exact < 1  # raised to one image at the expense of the others
    assert (counts[small] == 1).all()
    assert (np.abs(counts - exact)[~small] <= 1 + small.sum()).all()


@pytest.mark.parametrize(("limit", "held"), [(160, 80), (100, 70), (20, 70)])
def test_a_limit_also_limits_the_validation_images(faces: Dataset, limit: int, held: int) -> None:
    split = make_split(faces, validation=0.5, limit_train=limit)
    assert (len(split.train), len(split.validation)) == (limit, held)


@given(data=datasets(), limit=st.none() | st.integers(14, 200), drop=st.booleans())
@settings(max_examples=20, deadline=None)
def test_the_reports_protocol_validates_on_all_test_images(data: Dataset, limit: int | None, drop: bool) -> None:
    split = make_split(data, protocol="report", limit_train=limit, drop_duplicates=drop)
    np.testing.assert_array_equal(split.validation, np.flatnonzero(data.splits != 0))
    assert not set(split.train) & set(split.validation)
    assert split.protocol == "report"
    assert "no accuracy here is of unseen data" in split.note
    if limit is None and not drop:
        np.testing.assert_array_equal(split.train, data.rows("train"))


def test_the_split_depends_on_the_seed(faces: Dataset) -> None:
    first, again, other = (make_split(faces, seed=seed, limit_train=100) for seed in (3, 3, 4))
    for name in ("train", "validation"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))


def test_the_split_depends_on_the_training_images_only(faces: Dataset) -> None:
    """Other test images give the same split of the training images."""
    images, labels = faces.images.copy(), faces.labels.copy()
    images[420:], labels[420:] = 255 - images[420:], 0
    changed = Dataset(images, labels, faces.splits, "changed", "test")
    for name in ("train", "validation"):
        np.testing.assert_array_equal(getattr(make_split(faces), name), getattr(make_split(changed), name))


def test_notes_describe_the_split(faces: Dataset) -> None:
    images = faces.images.copy()
    images[500] = images[3]
    split = make_split(Dataset(images, faces.labels, faces.splits, "n", "s"), drop_duplicates=True)
    assert 3 not in split.train
    assert 3 not in split.validation
    assert split.note == (
        f"validated on {len(split.validation)} images held out of train; the test images are not touched; "
        "1 training images that occur in the test data are left out"
    )


def test_a_class_too_small_to_split_is_refused(faces: Dataset) -> None:
    labels = np.where((faces.labels == 1) & (faces.splits == 0), 0, faces.labels)
    labels[0] = 1
    with pytest.raises(UserError, match=r"disgust has only one training image, .* --map disgust=drop"):
        make_split(Dataset(faces.images, labels, faces.splits, "n", "s"))


def test_a_large_fraction_leaves_training_images_in_each_class(faces: Dataset) -> None:
    split = make_split(faces, validation=0.999)
    assert set(faces.labels[split.train]) == set(range(7))


def test_split_of_fer2013(fer2013_npz: Path) -> None:
    data = load_dataset(str(fer2013_npz))
    split = make_split(data)
    assert (data.splits[split.validation] == 0).all()
    assert abs(len(split.validation) - 2871) < 40
    np.testing.assert_allclose(
        class_fractions(data.labels[split.validation]), class_fractions(data.labels[split.train]), atol=0.003
    )
    dropped = make_split(data, drop_duplicates=True)
    pictures = picture_ids(data.images)
    assert len(split.train) + len(split.validation) == 28_709
    assert len(dropped.train) + len(dropped.validation) == 28_709 - 703
    rows = np.concatenate([dropped.train, dropped.validation])
    assert not np.isin(pictures[rows], pictures[data.splits != 0]).any()
    report = make_split(data, protocol="report")
    assert (len(report.train), len(report.validation)) == (28_709, 7_178)
