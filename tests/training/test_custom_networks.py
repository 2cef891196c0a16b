"""What a network of the user's own brings along: losses of its layers, and its optimiser."""

import keras
import numpy as np
import pytest
from keras import layers, regularizers

from fer_search.design import Custom, Design, Optimisation
from fer_search.design.custom import register
from fer_search.models import build_model
from fer_search.training.engine import split_micro_batches
from fer_search.training.trial import Trial, TrialData, train, trained_model


class Still(keras.optimizers.Adam):
    """An optimiser with an update rule of its own: nothing moves."""

    def update_step(self, gradient, variable, learning_rate):
        pass


def dense(units, seed, **options):
    return layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(seed), **options)


def regularised(hp):
    """Weights and activations are regularised; the pixels are scaled in the network."""
    inputs = keras.Input((48, 48, 1))
    x = dense(4, 1, activation="relu", kernel_regularizer=regularizers.L2(0.3))(layers.Flatten()(inputs / 255.0))
    x = layers.ActivityRegularization(l2=0.01)(x)
    x = dense(7, 2, activation="softmax", kernel_regularizer=regularizers.L1(0.1))(x)
    model = keras.Model(inputs, x)
    model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
    return model


def still(hp):
    model = keras.Sequential([layers.Flatten(), dense(7, 1, activation="softmax")])
    model.compile(Still(0.1), "categorical_crossentropy")
    return model


@pytest.fixture
def trained(faces, tmp_path):
    """Train a model for an epoch of one step; gives its weights before and after, and the loss."""
    images, labels = faces.images[:56], faces.labels[:56].astype(np.int64)
    data = TrialData(images, labels, images[:14], labels[:14])

    def run(function):
        optimisation = Optimisation(batch_size=56, precision="float32")
        design = Design(network=Custom(register(function), whole=True), optimisation=optimisation)
        before = build_model(design).get_weights()
        trial = Trial(design, 1, tmp_path / function.__name__, seed=0, number=0)
        trial.folder.mkdir()
        (row,) = train(trial, data)
        with trained_model(trial, data.spec) as model:
            return before, model.get_weights(), row["loss"]

    return run


def test_regularisers_and_losses_of_layers_count_as_in_fit(trained, faces):
    before, after, loss = trained(regularised)
    images, labels = faces.images[:56, ..., None].astype("float32"), keras.utils.to_categorical(faces.labels[:56], 7)
    theirs = regularised(None)
    theirs.set_weights(before)
    alone = keras.losses.categorical_crossentropy(labels, theirs(images))
    assert loss == pytest.approx(float(keras.ops.mean(alone)), rel=1e-4)  # to be compared with that of validation
    theirs.fit(images, labels, batch_size=56, epochs=1, verbose=0)
    for ours, expected, start in zip(after, theirs.get_weights(), before, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)
        assert np.abs(ours - start).max() > 1e-4


def test_a_subclass_of_an_optimiser_keeps_its_update_rule(trained):
    before, after, _ = trained(still)
    for start, end in zip(before, after, strict=True):
        np.testing.assert_array_equal(start, end)


@pytest.mark.parametrize("size", [4, 5, 7, 8])
def test_micro_batches_are_padded_with_real_images_at_weight_0(size):
    images = np.arange(1.0, size + 1, dtype="float32")[:, None] * np.ones((1, 3), "float32")
    weights = np.ones(size, "float32")
    parts = [np.asarray(part) for part in split_micro_batches((images, images[:, :2], weights, 2 * weights), 4)]
    assert [part.shape[:2] for part in parts] == [(4, -(-size // 4))] * 4
    assert parts[0].min() == 1
    np.testing.assert_array_equal(parts[0].reshape(-1, 3)[:size], images)
    np.testing.assert_array_equal(parts[2].ravel(), np.arange(parts[2].size) < size)
    assert parts[3].sum() == 2 * size
