import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_search.augment import draw_plan
from fer_search.design import Augmentation
from fer_search.runfolder.epochs import COLUMNS, append_epoch, read_epochs, rewrite_epochs
from fer_search.training import rng
from fer_search.training.batches import balanced_weights, draw_batches, in_order, loss_weights
from fer_search.training.score import score


@given(st.integers(1, 700), st.integers(1, 300), st.integers(0, 10))
def test_every_image_counts_once_an_epoch_in_steps_of_one_size(count, batch_size, seed):
    rows, weights = draw_batches(np.random.default_rng(seed), count, batch_size)
    assert sorted(rows[weights == 1].tolist()) == list(range(count))
    assert rows.shape[1] <= batch_size
    assert weights.sum() == count
    assert (weights.sum(axis=1) >= rows.shape[1] - 1).all()
    assert rows.shape[0] == -(-count // batch_size)


@given(st.integers(1, 300), st.integers(1, 100))
def test_validation_goes_through_all_images_in_order(count, batch_size):
    rows = in_order(count, batch_size).reshape(-1)
    assert rows[:count].tolist() == list(range(count))
    assert (rows[count:] == count - 1).all()
    assert len(rows) - count < -(-count // batch_size)  # as little in vain as can be


def test_balanced_weights_make_all_classes_count_alike(rng):
    labels = rng.choice(7, 700, p=[0.4, 0.02, 0.08, 0.1, 0.1, 0.1, 0.2])
    weights = balanced_weights(labels)
    totals = np.bincount(labels, weights=weights)
    np.testing.assert_allclose(totals, 100, rtol=1e-5)
    assert weights.mean() == pytest.approx(1, rel=1e-5)


def test_an_image_mixed_with_another_takes_part_in_its_weight(rng):
    rows, weights = draw_batches(rng, 23, 8)
    image_weights = rng.random(23).astype(np.float32)
    plan = draw_plan(rng, *rows.shape, Augmentation(mixup_alpha=1.0, cutmix_alpha=1.0))
    found = loss_weights(weights, rows, plan, image_weights)
    for s, k in np.ndindex(rows.shape):
        own, other = image_weights[rows[s, k]], image_weights[rows[s, plan["partners"][s, k]]]
        share = plan["shares"][s, k]
        assert found[s, k] == pytest.approx(weights[s, k] * (share * own + (1 - share) * other), rel=1e-5)
    assert loss_weights(weights, rows, plan, None) is weights


def test_randomness_depends_on_seed_trial_epoch_and_stream_alone():
    draws = {
        key: rng.generator(*key).random()
        for key in [(s, seed, t, e) for s in range(3) for seed in range(3) for t in range(3) for e in range(3)]
    }
    assert len(set(draws.values())) == len(draws)
    assert rng.generator(1, 2, 0, 1).random() == draws[1, 2, 0, 1]


def row(epoch):
    return {name: epoch + k / 7 for k, name in enumerate(COLUMNS)} | {"epoch": epoch}


def test_epochs_come_back_exactly_and_a_torn_last_line_does_not_count(tmp_path):
    path = tmp_path / "epochs.csv"
    assert read_epochs(path) == []
    append_epoch(path, row(1))
    append_epoch(path, row(2))
    rows = read_epochs(path)
    assert [r["epoch"] for r in rows] == [1, 2]
    assert rows[1]["val_loss"] == row(2)["val_loss"]
    text = path.read_text()
    for cut in range(len(text)):
        path.write_text(text[:cut])
        whole = text[:cut].count("\n")
        assert len(read_epochs(path)) == max(whole - 1, 0)
    rewrite_epochs(path, rows[:1])
    assert path.read_text() == text[: text.index("\n", text.index("\n") + 1) + 1]


def test_score_is_known_on_a_small_case():
    probabilities = np.full((4, 7), 0.05)
    probabilities[[0, 1, 2, 3], [0, 0, 3, 6]] = 0.7
    found = score(probabilities, np.array([0, 1, 3, 6]))
    assert found["accuracy"] == 0.75
    assert found["loss"] == pytest.approx(-(3 * np.log(0.7) + np.log(0.05)) / 4)
    assert (found["recall_angry"], found["recall_disgust"], found["recall_happy"]) == (1, 0, 1)
    assert np.isnan(found["recall_sad"])
