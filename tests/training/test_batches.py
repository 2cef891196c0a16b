"""Batches and loss weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_search.augment import draw_epoch
from fer_search.design import Augmentation
from fer_search.training.batches import balanced_weights, draw_batches, loss_weights, sequential_batches


@given(st.integers(1, 700), st.integers(1, 300), st.integers(0, 10))
def test_every_image_counts_once_per_epoch_in_equal_batches(count, batch_size, seed):
    rows, weights = draw_batches(np.random.default_rng(seed), count, batch_size)
    assert sorted(rows[weights == 1].tolist()) == list(range(count))
    assert rows.shape[1] <= batch_size
    assert weights.sum() == count
    assert (weights.sum(axis=1) >= rows.shape[1] - 1).all()
    assert rows.shape[0] == -(-count // batch_size)


@given(st.integers(1, 300), st.integers(1, 100))
def test_sequential_batches_cover_all_images_in_order(count, batch_size):
    rows = sequential_batches(count, batch_size).reshape(-1)
    assert rows[:count].tolist() == list(range(count))
    assert (rows[count:] == count - 1).all()
    assert len(rows) - count < -(-count // batch_size)  # minimal padding


def test_balanced_weights_give_every_class_the_same_total(rng):
    labels = rng.choice(7, 700, p=[0.4, 0.02, 0.08, 0.1, 0.1, 0.1, 0.2])
    weights = balanced_weights(labels, 7)
    totals = np.bincount(labels, weights=weights)
    np.testing.assert_allclose(totals, 100, rtol=1e-5)
    assert weights.mean() == pytest.approx(1, rel=1e-5)


def test_mixed_images_get_mixed_loss_weights(rng):
    rows, weights = draw_batches(rng, 23, 8)
    image_weights = rng.random(23).astype(np.float32)
    draws = draw_epoch(rng, *rows.shape, Augmentation(mixup_alpha=1.0, cutmix_alpha=1.0))
    mixed = loss_weights(weights, rows, draws, image_weights)
    for s, k in np.ndindex(rows.shape):
        own, other = image_weights[rows[s, k]], image_weights[rows[s, draws["partners"][s, k]]]
        lam = draws["label_lam"][s, k]
        assert mixed[s, k] == pytest.approx(weights[s, k] * (lam * own + (1 - lam) * other), rel=1e-5)
    assert loss_weights(weights, rows, draws, None) is weights
