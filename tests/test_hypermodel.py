import json
import subprocess
import sys

import keras
import keras_tuner
import numpy as np
import pytest

from fer_search import FerHyperModel
from fer_search.design import Augmentation
from fer_search.hypermodel import AugmentedImages
from fer_search.space import load_space


@pytest.fixture(scope="module")
def arrays(faces):
    """Images uint8 (96, 48, 48, 1) and one-hot labels."""
    return faces.images[:96, :, :, None], keras.utils.to_categorical(faces.labels[:96], 7)


@pytest.mark.slow
def test_stock_hyperband_searches_a_space(tiny_space, arrays, tmp_path):
    images, labels = arrays
    tuner = keras_tuner.Hyperband(
        FerHyperModel(tiny_space),
        objective="val_accuracy",
        max_epochs=2,
        factor=4,  # a single bracket
        directory=tmp_path,
        project_name="run",
    )
    tuner.search(images, labels, validation_split=0.25, verbose=0)
    best = tuner.get_best_hyperparameters()[0]
    assert {"filters", "downsample", "dropout", "cutout", "rate"} <= set(best.values)
    trial = json.loads(next((tmp_path / "run").glob("trial_*/trial.json")).read_text())
    assert trial["score"] is not None
    model = tuner.get_best_models()[0]
    assert model.predict(images[:3], verbose=0).shape == (3, 7)


def test_a_hypermodel_builds_its_spaces_designs(tiny_space):
    hypermodel = FerHyperModel(str(tiny_space), width=2)
    hp = keras_tuner.HyperParameters()
    hypermodel.declare_hyperparameters(hp)
    assert {choice.name for choice in hp.space} == {"filters", "downsample", "dropout", "cutout", "rate"}
    model = hypermodel.build(hp)
    assert model.get_layer("stage1_conv1").filters == 8
    assert FerHyperModel(load_space(tiny_space, width=3), width=2).space.width == 6


def fit_arguments(tiny_space, **kwargs):
    """Return the arguments that keras.Model.fit received."""
    given = {}

    class Model:
        def fit(self, x, **kwargs):
            given.update(kwargs, x=x)

    hypermodel = FerHyperModel(tiny_space)
    hypermodel.fit(keras_tuner.HyperParameters(), Model(), **kwargs)
    return given


def test_fit_augments_only_the_training_images(tiny_space, arrays):
    images, labels = arrays
    given = fit_arguments(tiny_space, x=images, y=labels, validation_split=0.25, epochs=3)
    assert (given["epochs"], given["shuffle"]) == (3, False)
    np.testing.assert_array_equal(given["validation_data"][0], images[72:])
    batches = given["x"]
    assert (len(batches), batches.batch_size) == (3, 32)
    x, y = batches[0]
    assert (x.shape, x.dtype, y.shape) == ((32, 48, 48, 1), np.float32, (32, 7))
    assert ((y > 0).sum(axis=1) == 2).any()  # the space has mixup


def test_fit_passes_datasets_through(tiny_space):
    assert fit_arguments(tiny_space, x="a dataset", epochs=2) == {"x": "a dataset", "epochs": 2}


def test_batches_contain_every_image_once_per_epoch_in_a_new_order():
    images = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 48, 48, 1), np.uint8)
    batches = AugmentedImages(images, np.eye(7, dtype=np.float32)[np.arange(10) % 7], 4, Augmentation())
    epochs = []
    for _ in range(2):
        seen = [batches[i] for i in range(len(batches))]
        assert [len(x) for x, _ in seen] == [4, 4, 2]
        pixels = np.concatenate([x[:, 0, 0, 0] for x, _ in seen])
        labels = np.concatenate([y.argmax(axis=1) for _, y in seen])
        assert sorted(pixels) == list(range(10))
        np.testing.assert_array_equal(labels, pixels % 7)
        epochs.append(pixels.tolist())
        batches.on_epoch_end()
    assert epochs[0] != epochs[1]


def test_the_same_seed_gives_the_same_batches():
    images = np.random.default_rng(0).integers(0, 256, (6, 48, 48, 1)).astype(np.uint8)
    labels = np.eye(7, dtype=np.float32)[:6]
    augmentation = Augmentation(rotation=20, cutout=8)
    first, again, other = (AugmentedImages(images, labels, 6, augmentation, seed)[0][0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0


def test_importing_the_package_does_not_import_keras_or_numpy():
    code = "import sys, fer_search; assert 'keras' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(ImportError):
        from fer_search import FerHyperModels  # noqa: F401
