"""Networks as plain Keras models: the same probabilities, without fer-search."""

import dataclasses
import json
import zipfile

import keras
import numpy as np
import pytest

from fer_search.augment.warp import warp
from fer_search.data.spec import FER2013_CLASSES as CLASSES
from fer_search.data.spec import DataSpec
from fer_search.design import Custom, Design, Evaluation
from fer_search.design.custom import register
from fer_search.export.metadata import read_from_keras
from fer_search.export.plain import foreign_layers, output_name, plain_model, sampling_matrix
from fer_search.export.runtime import open_model
from fer_search.export.source import build, find_network, load_network
from fer_search.training.predict import predict_images


def own_predictions(network, images):
    """Return the predictions of the run's own code with the same weights, in float32."""
    optimisation = dataclasses.replace(network.design.optimisation, precision="float32")
    design = dataclasses.replace(network.design, optimisation=optimisation)
    model = build(design, network.spec)
    model.load_weights(network.file)
    return predict_images(model, design, images)


@pytest.mark.parametrize("trial", ["plain", "flipped", "cropped"])
def test_a_plain_model_gives_the_runs_predictions(searched_run, images, trial):
    network = find_network(searched_run, trial)
    model, info = load_network(network)
    plain = np.asarray(model.predict_on_batch(images[..., None].astype("float32")))
    np.testing.assert_allclose(plain, own_predictions(network, images), atol=1e-5)
    assert {type(layer).__module__.split(".")[0] for layer in model._flatten_layers()} == {"keras"}
    assert {layer.compute_dtype for layer in model._flatten_layers()} == {"float32"}
    assert (info.views, info.classes) == (network.design.evaluation.views, CLASSES)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_confirmed_network_opens_without_fer_search(confirmed_run, images, in_fresh_process, backend):
    network = find_network(confirmed_run)
    assert (network.confirmed, network.title, network.seed) == (True, "flipped", 0)
    about, probabilities = in_fresh_process(network.file, backend)
    assert about == {
        "backend": backend,
        "output": "angry_disgust_fear_happy_sad_surprise_neutral",
        "input": [None, 48, 48, 1],
        "modules": ["keras"],
        "dtypes": ["float32"],
    }
    np.testing.assert_allclose(probabilities, open_model(network.file).probabilities(images), atol=1e-5)
    assert (network.file.parent / "labels.txt").read_text().split() == list(CLASSES)
    with zipfile.ZipFile(network.file) as archive:
        assert "fer_search" not in archive.read("config.json").decode()
        assert json.loads(archive.read("metadata.json"))["fer_search"]["classes"] == list(CLASSES)
    assert read_from_keras(network.file).network == "flipped, confirmed, seed 0"


def test_the_saved_model_is_the_tested_one(confirmed_run):
    network = find_network(confirmed_run)
    from fer_search.data.load import load_dataset

    dataset = load_dataset("toy")
    with np.load(network.file.parent / "test.npz") as kept:
        test = dataset.images[dataset.splits != 0][:50]
        again = open_model(network.file).probabilities(test)
        np.testing.assert_allclose(kept["probabilities"][:50], again, atol=1e-5)


def test_views_can_be_omitted(searched_run, images):
    network = find_network(searched_run, "flipped")
    single, info = load_network(network, views=False)
    assert info.views == "one"
    both, _ = load_network(network)
    upright, mirrored = (images[..., None].astype("float32"), images[:, :, ::-1, None].astype("float32"))
    mean = (np.asarray(single.predict_on_batch(upright)) + np.asarray(single.predict_on_batch(mirrored))) / 2
    np.testing.assert_allclose(both.predict_on_batch(upright), mean, atol=1e-6)


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (-1.0, 47.0), (40 / 48, 3.7), (-40 / 48, 43.2), (1.5, -9.0)])
def test_a_sampling_matrix_equals_the_warp_along_one_axis(rng, scale, offset):
    images = rng.uniform(0, 255, (3, 48, 48)).astype("float32")
    maps = np.tile(np.array([[1, 0, 0], [0, scale, offset]], "float32"), (3, 1, 1))
    expected = np.asarray(warp(images, maps))
    np.testing.assert_allclose(images @ sampling_matrix(scale, offset, 48).T, expected, atol=1e-3)


def test_the_output_name_is_made_from_any_class_names():
    assert output_name(["happy", "very sad", "n/a"]) == "happy_very_sad_n_a"
    assert output_name(["été", "😀"]) == "t"
    assert output_name(["😀"]) == "probabilities"
    assert output_name([f"class{k}" for k in range(100)]) == "probabilities"


class Doubled(keras.layers.Layer):
    """A custom layer as a space file may define."""

    def call(self, x):
        return x * 2


@pytest.mark.parametrize(("own", "foreign"), [(False, []), (True, ["Doubled"])])
def test_a_model_built_by_a_space_file_is_converted(images, own, foreign):
    def build_it(hp):
        layers = [keras.layers.Conv2D(4, 3, strides=4, activation="relu"), keras.layers.BatchNormalization()]
        layers += [Doubled()] if own else [keras.layers.Dropout(0.3)]
        model = keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(7, activation="softmax")])
        model.compile(optimizer="adam", loss="categorical_crossentropy")
        return model

    design = Design(network=Custom(register(build_it, "build_it"), whole=True), evaluation=Evaluation(views="flip"))
    model = build(design, DataSpec())
    plain = plain_model(model, design, DataSpec().classes)
    expected = predict_images(model, design, images)
    np.testing.assert_allclose(plain.predict_on_batch(images[..., None].astype("float32")), expected, atol=1e-5)
    assert foreign_layers(plain) == foreign
