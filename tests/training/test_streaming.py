"""Training on images streamed from a file equals training on images in memory."""

import pickle

import numpy as np
import pytest
from cases import TINY

from fer_search.design import Augmentation, Design, Evaluation, Head, Optimisation
from fer_search.training import streaming
from fer_search.training.predict import predict_images
from fer_search.training.streaming import ImageRows, image_memory, select
from fer_search.training.trial import Trial, TrialData, train, trained_model

DESIGN = Design(
    network=TINY,
    head=Head(dropout=0.3),
    augmentation=Augmentation(flip=True, rotation=10, mixup_alpha=0.3, cutmix_alpha=0.5),
    optimisation=Optimisation(batch_size=16, learning_rate=3e-3, schedule="constant", precision="float32"),
    evaluation=Evaluation("flip"),
)


@pytest.fixture
def stored(tmp_path, rng):
    """Memory-mapped images with more rows than are used."""
    images = rng.integers(0, 256, (90, 32, 32, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    return np.load(tmp_path / "images.npy", "r")


def test_streamed_images_give_the_same_training(stored, tmp_path, rng, monkeypatch):
    monkeypatch.setattr(streaming, "CHUNK_BYTES", 2 * 16 * 32 * 32 * 3)  # two steps
    rows, labels = rng.permutation(90)[:70], np.arange(90) % 3
    results = []
    for name, memory in (("memory", 10**9), ("file", 1000)):
        images, held = select(stored, rows, memory), select(stored, np.arange(40), memory)
        assert isinstance(images, ImageRows) is (name == "file")
        data = TrialData(images, labels[rows], held, labels[:40], class_names=("a", "b", "c"))
        (tmp_path / name).mkdir()
        trial = Trial(DESIGN, 2, tmp_path / name, seed=0, number=0)
        table = [{k: v for k, v in row.items() if k != "seconds"} for row in train(trial, data)]
        with trained_model(trial, data.spec) as model:
            results.append((table, predict_images(model, DESIGN, held)))
    for in_memory, from_file in zip(results[0][0], results[1][0], strict=True):
        assert from_file == pytest.approx(in_memory, rel=1e-4)
    np.testing.assert_allclose(results[1][1], results[0][1], atol=1e-4)


def test_rows_are_read_on_demand(stored):
    rows = ImageRows(stored, np.array([5, 3, 80]))
    np.testing.assert_array_equal(rows[1:], stored[[3, 80]])
    np.testing.assert_array_equal(rows[np.array([2, 0])], stored[[80, 5]])
    assert (len(rows), rows.shape, rows.nbytes) == (3, (3, 32, 32, 3), 3 * 32 * 32 * 3)
    sent = pickle.dumps(rows)
    assert len(sent) < 1000  # pickles the path, not the images
    np.testing.assert_array_equal(pickle.loads(sent)[:], rows[:])


def test_the_image_memory_limit(monkeypatch):
    assert image_memory(10 * 2**30) == 4 * 2**30
    monkeypatch.setenv("FER_SEARCH_IMAGE_MEMORY", "100")
    assert image_memory(10 * 2**30) == 100 * 2**20
