"""Progressive resizing: the first epochs train on shrunken images, and are validated on such."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from cases import NETWORK, make_trial

from fer_search.augment.resize import area_matrix, shrink
from fer_search.data.spec import DataSpec
from fer_search.design import (
    Backbone,
    Design,
    DesignError,
    Evaluation,
    Head,
    Optimisation,
    Plain,
    Residual,
    low_resolution_side,
)
from fer_search.export.formats import write_keras
from fer_search.export.metadata import ModelInfo
from fer_search.export.plain import plain_model
from fer_search.export.runtime import open_model
from fer_search.models import build_model
from fer_search.runfolder.design_json import weights_resolution
from fer_search.training.batchnorm_stats import trainable_batchnorms
from fer_search.training.loop import EpochLoop
from fer_search.training.predict import predict_images
from fer_search.training.trial import train
from fer_search.training.types import TrialData, TrialHooks

DESIGN = Design(
    network=Residual(stages=((4,), (6,)), normalization="none"),
    optimisation=Optimisation(
        learning_rate=1e-12, schedule="constant", batch_size=32, precision="float32", low_resolution=32
    ),
)


@pytest.fixture
def data(faces):
    rows, others = faces.rows("train")[:64], faces.rows("test")[:40]
    return TrialData(faces.images[rows], faces.labels[rows], faces.images[others], faces.labels[others])


def cross_entropy(model, images, labels):
    probabilities = np.asarray(model.call(keras.ops.convert_to_tensor(images[..., None]), training=False))
    return float(-np.log(probabilities[np.arange(len(labels)), labels]).mean())


def test_the_first_half_of_the_epochs_trains_on_shrunken_images(data, tmp_path):
    """With a negligible learning rate, an epoch's losses are those of the initial network."""
    keras.utils.set_random_seed(0)
    model = build_model(DESIGN)
    loop = EpochLoop(make_trial(tmp_path, epochs=4, design=DESIGN), data, model, TrialHooks())
    images = data.images.astype(np.float32)
    small = np.asarray(shrink(images, area_matrix(48, 32)))
    low, full = cross_entropy(model, small, data.labels), cross_entropy(model, images, data.labels)
    held = data.val_images.astype(np.float32)
    low_held, full_held = (
        cross_entropy(model, shown, data.val_labels) for shown in (np.asarray(shrink(held, area_matrix(48, 32))), held)
    )
    assert min(abs(low - full), abs(low_held - full_held)) > 1e-4
    rows = [loop.run_epoch(epoch, []) for epoch in (1, 2, 3, 4)]
    assert [row["loss"] for row in rows] == pytest.approx([low, low, full, full], rel=1e-5)
    assert [row["val_loss"] for row in rows] == pytest.approx([low_held, low_held, full_held, full_held], rel=1e-5)


def test_small_images_are_not_shrunk_below_what_five_stages_need(data, tmp_path):
    assert [low_resolution_side(36, size) for size in (32, 40, 48, 96)] == [32, 32, 36, 72]
    spec = DataSpec(32)
    small = [images[:, :32, :32] for images in (data.images, data.val_images)]
    network = Plain(stages=((4,),) * 5, downsample="max_pool")
    design = Design(network=network, optimisation=replace(DESIGN.optimisation, low_resolution=32))
    loop = EpochLoop(
        make_trial(tmp_path, epochs=2, design=design),
        TrialData(small[0], data.labels, small[1], data.val_labels),
        build_model(design, spec=spec),
        TrialHooks(),
    )
    assert np.isfinite(loop.run_epoch(1, [])["val_loss"])


def test_runs_of_older_versions_go_on_validating_whole_images(data, tmp_path):
    keras.utils.set_random_seed(0)
    model = build_model(DESIGN)
    trial = make_trial(tmp_path, epochs=4, design=DESIGN, validate_low=False)
    whole = cross_entropy(model, data.val_images.astype(np.float32), data.val_labels)
    assert EpochLoop(trial, data, model, TrialHooks()).run_epoch(1, [])["val_loss"] == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("views", ["one", "flip"])
def test_the_best_weights_predict_as_they_were_validated(data, tmp_path, views):
    """The network of a trial that ended at low resolution, and its plain Keras model; both shrink the images."""
    normalised = replace(DESIGN, network=NETWORK, evaluation=Evaluation(views))
    design = replace(normalised, optimisation=replace(DESIGN.optimisation, learning_rate=1e-2))
    rows = train(make_trial(tmp_path, epochs=2, design=design, horizon=4), data)
    model = build_model(design)
    model.load_weights(tmp_path / "best.weights.h5")
    plain = plain_model(model, design, data.class_names, resolution=32)
    probabilities = predict_images(model, design, data.val_images, 32)
    accuracy = (probabilities.argmax(axis=1) == data.val_labels).mean()
    assert accuracy == pytest.approx(max(row["val_accuracy"] for row in rows), abs=1e-9)
    assert abs(predict_images(model, design, data.val_images) - probabilities).max() > 1e-3
    pixels = data.val_images[..., None].astype("float32")
    np.testing.assert_allclose(np.asarray(plain(pixels, training=False)), probabilities, atol=1e-5)
    write_keras(plain, tmp_path / "model.keras", ModelInfo(data.class_names, 48, 48, 1, "run", "network", views, "1"))
    opened = open_model(tmp_path / "model.keras")
    np.testing.assert_allclose(opened.probabilities(data.val_images), probabilities, atol=1e-5)


@pytest.mark.parametrize("validate_low", [True, False])
def test_batch_normalisation_is_measured_as_an_epoch_is_validated(data, tmp_path, validate_low):
    """The first layer's statistics are those of its inputs: of shrunken images, or of whole ones in older runs."""
    design = replace(DESIGN, network=Residual(stages=((4,),)))
    trial = make_trial(tmp_path, epochs=1, design=design, horizon=4, validate_low=validate_low)
    keras.utils.set_random_seed(0)
    model = build_model(design)
    EpochLoop(trial, data, model, TrialHooks()).run_epoch(1, [])
    first = trainable_batchnorms(model)[0]
    inputs = keras.Model(model.input, first.input)
    images = data.images.astype(np.float32)
    means = [
        np.asarray(inputs.call(keras.ops.convert_to_tensor(shown[..., None]), training=False)).mean(axis=(0, 1, 2))
        for shown in (np.asarray(shrink(images, area_matrix(48, 32))), images)
    ]
    measured = np.asarray(first.moving_mean)
    low, full = (abs(mean - measured).max() for mean in means)
    assert (low < full / 10) if validate_low else (full < low / 10)


@pytest.mark.parametrize(("epoch", "resolution"), [(2, 32), (3, 0), (None, 0)])
def test_the_resolution_of_the_best_weights_follows_from_their_epoch(epoch, resolution):
    record = {"design": DESIGN.to_dict(), "low_resolution_epochs": 2}
    assert weights_resolution(record, epoch) == resolution
    assert weights_resolution({"design": DESIGN.to_dict()}, epoch) == 0  # of an older version


@pytest.mark.parametrize(
    ("network", "head"), [(Backbone("MobileNet", "none"), Head()), (Residual(), Head(pooling="flatten"))]
)
def test_a_network_with_a_fixed_input_size_is_refused(network, head):
    with pytest.raises(DesignError, match=r"Optimisation\.low_resolution must be 0 for .* 'flatten'"):
        Design(network=network, head=head, optimisation=Optimisation(low_resolution=32))


@pytest.mark.parametrize("side", [24, 48, 31])
def test_invalid_low_resolutions_are_refused(side):
    with pytest.raises(DesignError, match=r"Optimisation\.low_resolution must be pixels from 32 to 47, or 0 for never"):
        Optimisation(low_resolution=side)
