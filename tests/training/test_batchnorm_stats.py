"""BN statistics re-estimated on training images, on both backends."""

import dataclasses

import keras
import numpy as np
import pytest
from cases import SMALL, make_trial

from fer_search.design import Augmentation, Backbone, Design, Evaluation, Head, Optimisation, Residual
from fer_search.models import build_model, make_loss
from fer_search.training.batchnorm_stats import draw_measurement_batches, trainable_batchnorms
from fer_search.training.checkpoint import load_checkpoint
from fer_search.training.engines import make_engine
from fer_search.training.predict import predict_images
from fer_search.training.trial import TrialData, train

DROPPING = Design(
    network=Residual(stages=((4,),), dropout=0.5, noise=0.3),
    head=Head(dense=(8,), dropout=0.2),
    optimisation=Optimisation(precision="float32"),
)
CROPPED = dataclasses.replace(SMALL, augmentation=Augmentation(crop=40, flip=True), evaluation=Evaluation(views="flip"))


@pytest.fixture(scope="module")
def data(faces):
    rows, others = faces.rows("train")[:120], faces.rows("test")[:70]
    return TrialData(faces.images[rows], faces.labels[rows], faces.images[others], faces.labels[others])


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data):
    """A trial of one epoch and its row."""
    trial = make_trial(tmp_path_factory.mktemp("trained"), 1, design=CROPPED)
    (row,) = train(trial, data)
    return trial, row


def engine_of(design):
    model = build_model(design)
    return model, make_engine(model, make_loss(design.optimisation, reduction="none"))


def values(variables):
    return [np.asarray(keras.ops.convert_to_numpy(v)) for v in variables]


def test_statistics_are_batch_means_without_dropout_and_noise(data):
    model, engine = engine_of(DROPPING)
    images, rows = engine.put(data.images), np.arange(90, dtype=np.int32).reshape(3, 30)
    before = values(model.trainable_variables)
    engine.measure_batchnorm(images, {"rows": rows})
    for layer in trainable_batchnorms(model):
        assert layer.momentum == 0.99
    # The same in plain Keras: training calls with the momentum that gives a running mean.
    expected = build_model(dataclasses.replace(DROPPING, network=Residual(stages=((4,),)), head=Head(dense=(8,))))
    expected.set_weights(values(model.weights))
    for step, batch in enumerate(rows):
        for layer in trainable_batchnorms(expected):
            layer.momentum = step / (step + 1)
        expected(data.images[batch][..., None].astype("float32"), training=True)
    for ours, theirs in zip(trainable_batchnorms(model), trainable_batchnorms(expected), strict=True):
        np.testing.assert_allclose(*map(np.asarray, (ours.moving_mean, theirs.moving_mean)), rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(*map(np.asarray, (ours.moving_variance, theirs.moving_variance)), rtol=2e-3)
    for a, b in zip(before, values(model.trainable_variables), strict=True):
        np.testing.assert_array_equal(a, b)


def test_saved_weights_include_the_statistics_used_for_validation(trained, data):
    trial, row = trained
    model = build_model(CROPPED)
    for file in ("best.weights.h5", None):
        model.load_weights(trial.folder / file) if file else load_checkpoint(model, trial.folder, 1)
        probabilities = predict_images(model, CROPPED, data.val_images)
        assert np.mean(probabilities.argmax(1) == data.val_labels) == pytest.approx(row["val_accuracy"])
        chosen = probabilities[np.arange(len(probabilities)), data.val_labels]
        assert -np.log(chosen).mean() == pytest.approx(row["val_loss"], rel=1e-4)


def test_the_reports_protocol_uses_moving_statistics(tmp_path, trained, data):
    """With momentum 0.99 over a few steps, moving variances stay close to their initial value of 1."""
    reported, variances = make_trial(tmp_path / "reported", 1, design=CROPPED), {}
    train(reported, dataclasses.replace(data, augment_validation=True))
    for protocol, trial in ((False, trained[0]), (True, reported)):
        model = build_model(CROPPED)
        load_checkpoint(model, trial.folder, 1)
        variances[protocol] = np.concatenate([np.asarray(x.moving_variance) for x in trainable_batchnorms(model)])
    assert np.abs(variances[True] - 1).max() < 0.5 < np.abs(variances[False] - 1).max()


def test_frozen_statistics_do_not_change(data):
    model, engine = engine_of(DROPPING)
    first, *others = trainable_batchnorms(model)
    first.trainable = False
    assert trainable_batchnorms(model) == others
    before = values([first.moving_mean, first.moving_variance])
    engine.measure_batchnorm(engine.put(data.images), {"rows": np.arange(40, dtype=np.int32)[None]})
    for a, b in zip(before, values([first.moving_mean, first.moving_variance]), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(np.asarray(others[0].moving_mean)).max() > 0


@pytest.mark.parametrize("frozen", [False, True])
def test_backbone_statistics_are_measured_unless_frozen(data, frozen):
    """Repeated measurements agree regardless of the previous values, unlike Keras' moving averages."""
    network = Backbone(name="MobileNet", alpha=0.25, weights="none", train_from=1, frozen_statistics=False)
    model, engine = engine_of(Design(network=network, optimisation=Optimisation(precision="float32")))
    (backbone,) = (layer for layer in model.layers if isinstance(layer, keras.Model))
    inside = [layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in inside:
        layer.trainable = not frozen
    images, rows = engine.put(data.images), np.arange(80, dtype=np.int32).reshape(2, 40)
    measured = [values([v for layer in inside for v in (layer.moving_mean, layer.moving_variance)])]
    for _ in range(2):
        engine.measure_batchnorm(images, {"rows": rows})
        measured.append(values([v for layer in inside for v in (layer.moving_mean, layer.moving_variance)]))
    for before, once, twice in zip(*measured, strict=True):
        np.testing.assert_allclose(once, twice, rtol=1e-3, atol=1e-4)
        assert np.array_equal(before, once) == frozen


@pytest.mark.parametrize(
    ("images", "batch", "shape"),
    [(28709, 256, (4, 256)), (5000, 2000, (1, 2000)), (100, 64, (1, 64)), (40, 64, (1, 40))],
)
def test_measurement_uses_full_batches_of_distinct_images(images, batch, shape):
    rows = draw_measurement_batches(np.random.default_rng(0), images, batch)
    assert rows.shape == shape
    assert rows.dtype == np.int32
    assert len(np.unique(rows)) == rows.size
    assert rows.max() < images
