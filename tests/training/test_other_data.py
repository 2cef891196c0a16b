"""Training on data unlike FER2013: three classes, 64 pixels, colour."""

import numpy as np
import pytest

from fer_search.design import Augmentation, Backbone, Design, Optimisation, Plain
from fer_search.runfolder.epochs import append_epoch, read_epochs, rewrite_epochs
from fer_search.training.predict import predict_images
from fer_search.training.trial import Trial, TrialData, train, trained_model

CLASSES = ("happy", "sad", "bored")


@pytest.fixture(scope="module")
def data():
    """Images whose class is their colour: easy to learn, but not from grey images."""
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 3
    images = np.full((48, 64, 64, 3), 80, np.int64)
    images[np.arange(48), :, :, labels] += 80
    images = (images + rng.integers(-20, 20, images.shape)).astype(np.uint8)
    return TrialData(images, labels, images[:12], labels[:12], class_names=CLASSES)


@pytest.mark.parametrize(
    "network", [Plain(stages=((8,), (8,))), Backbone("MobileNet", "none", 64, alpha=0.25, train_from=4)], ids=str
)
def test_a_trial_learns_three_colours(tmp_path, data, network):
    optimisation = Optimisation(learning_rate=1e-2, batch_size=8, schedule="constant", class_weights="balanced")
    design = Design(network=network, augmentation=Augmentation(flip=True, cutout=8), optimisation=optimisation)
    trial = Trial(design, 3 if isinstance(network, Plain) else 1, tmp_path, seed=0, number=0)
    rows = train(trial, data)
    assert [name for name in rows[0] if name.startswith("recall_")] == [f"recall_{name}" for name in CLASSES]
    assert read_epochs(tmp_path / "epochs.csv")[-1]["recall_bored"] == rows[-1]["recall_bored"]
    if isinstance(network, Plain):
        assert max(row["val_accuracy"] for row in rows) > 0.9
    with trained_model(trial, data.spec) as model:
        assert model.input_shape == (None, 64, 64, 3)
        assert predict_images(model, design, data.val_images).shape == (12, 3)


def test_an_epoch_table_of_an_older_version_keeps_its_columns(tmp_path):
    path = tmp_path / "epochs.csv"
    old = {"epoch": 1.0, "loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5}
    old |= {"clean_val_loss": 1.0, "clean_val_accuracy": 0.5, "learning_rate": 0.1, "seconds": 2.0, "recall_happy": 0.5}
    rewrite_epochs(path, [old])
    append_epoch(path, old | {"epoch": 2.0, "val_macro_f1": 0.4, "val_balanced_accuracy": 0.5})
    assert read_epochs(path) == [old, old | {"epoch": 2.0}]
