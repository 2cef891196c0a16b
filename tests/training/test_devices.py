"""One trial on two devices, here two virtual CPU devices (see conftest.py), on both backends."""

import random

import numpy as np
import pytest
from cases import SMALL, TINY, make_trial

from fer_search.design import Augmentation, Design, Head, Optimisation
from fer_search.models import build_model, make_loss
from fer_search.training.checkpoint import load_checkpoint
from fer_search.training.engine import pad_batches
from fer_search.training.engines import device_scope, make_engine
from fer_search.training.trial import TrialData, train

PLAIN = Design(
    network=TINY,
    augmentation=Augmentation(rotation=10, flip=True, mixup_alpha=0.4),
    optimisation=Optimisation(
        optimizer="sgd", momentum=0.9, learning_rate=0.02, weight_decay=1e-3, clip_norm=1.0, ema=0.5,
        batch_size=32, class_weights="balanced", precision="float32",
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def data(faces):
    """Training images that divide evenly into batches of 32."""
    rows, others = faces.rows("train")[:128], faces.rows("test")[:40]
    return TrialData(faces.images[rows], faces.labels[rows], faces.images[others], faces.labels[others])


def test_losses_on_two_devices_equal_those_on_one(tmp_path, data):
    """Within a relative tolerance of 1e-4 over an epoch, because only the order of summation differs."""
    folders = {1: tmp_path / "one", 2: tmp_path / "two"}
    (one,), (two,) = (train(make_trial(f, 1, design=PLAIN, devices=n), data) for n, f in folders.items())
    for name in ("loss", "val_loss"):
        assert one[name] == pytest.approx(two[name], rel=1e-4)
    models = [build_model(PLAIN) for _ in folders]
    for model, folder in zip(models, folders.values(), strict=True):
        load_checkpoint(model, folder, 1)
    for a, b in zip(*(m.weights + m.optimizer.variables for m in models), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=1e-4, err_msg=a.path)


def test_an_uneven_batch_is_padded_and_each_device_has_its_own_dropout(data):
    """A batch of 29 copies of an image, padded to two micro-batches with 16 per device. Losses of single positions
    reveal their dropout masks."""
    design = Design(network=TINY, head=Head(dropout=0.5), optimisation=SMALL.optimisation)
    with device_scope(2):
        random.seed(0)
        engine = make_engine(build_model(design), make_loss(design.optimisation, reduction="none"), micro_batches=2)
        placed = (engine.put(data.images), engine.put(data.labels.astype(np.int32)))
        same = {"rows": np.zeros((1, 29), np.int32), "weights": np.ones((1, 29), np.float32)}
        losses = []
        for position in (0, 16, 1):  # the first of each device, and another one
            counted = np.zeros((1, 29), np.float32)
            counted[0, position] = 1
            batches = same | {"loss_weights": counted, "learning_rates": np.zeros(1, np.float32)}
            engine.begin_epoch(placed, batches, np.random.default_rng(0))
            loss, _, count = engine.train(0, 1)
            engine.end_epoch()
            assert count == 29
            losses.append(loss)
        assert len(set(losses)) == 3
        assert engine.predict(placed[0], {"rows": np.arange(29, dtype=np.int32)[None]}).shape == (29, 7)


def test_padding_does_not_count():
    batches = {
        "rows": np.arange(6, dtype=np.int32).reshape(2, 3),
        "weights": np.ones((2, 3), np.float32),
        "maps": np.arange(36.0).reshape(2, 3, 2, 3),
        "learning_rates": np.ones(2, np.float32),
    }
    assert pad_batches(batches, 3) is batches
    full = pad_batches(batches, 8)
    np.testing.assert_array_equal(full["rows"], [[0, 1, 2, 0, 1, 2, 0, 1], [3, 4, 5, 3, 4, 5, 3, 4]])
    assert full["weights"].sum() == 6
    assert (full["weights"][:, 3:] == 0).all()
    np.testing.assert_array_equal(full["maps"][:, 3], batches["maps"][:, 0])
    np.testing.assert_array_equal(full["learning_rates"], batches["learning_rates"])
