"""Models behave the same on both backends: saved here with TensorFlow, loaded in a new process with JAX."""

import functools
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from fer_search.design import Backbone, Design, Head, Optimisation, Plain, Residual
from fer_search.models import build_model, make_optimizer

TOLERANCE = 1e-4  # of probabilities; the backends sum in different orders

DESIGNS = {
    "residual": Design(
        network=Residual(
            stages=((8, 8), (16,)),
            stem=8,
            downsample="blur_pool",
            shortcut="identity",
            pre_activation=True,
            normalization="group",
            activation="silu",
            squeeze_excitation=4,
            dropout=0.1,
            noise=0.1,
        ),
        optimisation=Optimisation(optimizer="adamw", weight_decay=0.01, focal_gamma=2.0, ema=0.9),
    ),
    "plain": Design(
        network=Plain(stages=((8,), (8, 8), (8,)), kernels=(3, 5, 1), downsample="strided", activation="leaky_relu"),
        head=Head(dense=(12, 8), dropout=0.2, pooling="flatten", activation="gelu"),
        optimisation=Optimisation(optimizer="sgd", momentum=0.9),
    ),
    "mobilenet": Design(
        network=Backbone("MobileNet", "none", 64, "sum", alpha=0.25, train_from=5),
        optimisation=Optimisation(clip_norm=1.0),
    ),
}
OPTIMISATIONS = [
    Optimisation(optimizer="sgd", momentum=0.9, learning_rate=0.1, weight_decay=0.5),
    Optimisation(optimizer="adamw", learning_rate=0.1, weight_decay=0.5, clip_norm=0.1),
    Optimisation(optimizer="adam", learning_rate=0.1, ema=0.9),
    Optimisation(
        optimizer="sgd", learning_rate=0.1, weight_decay=0.5, clip_value=0.2
    ),  # with the backbone frozen for one step
]


def steps(optimisation):
    """Take two steps with the backbone at half the learning rate; return a backbone, a BN and a head weight."""
    variables = []
    for path in ("conv1/kernel", "bn1/gamma", "probabilities/kernel"):
        with keras.name_scope(path.partition("/")[0]):
            variables.append(keras.Variable(np.ones(1, "float32"), name=path.partition("/")[2]))
    optimizer = make_optimizer(optimisation, backbone_factor=0.5)
    optimizer.frozen_steps = 1 if optimisation.clip_value else 0
    optimizer.build(variables)
    gradients = [keras.ops.full((1,), 0.3)] * 3
    if keras.backend.backend() == "tensorflow":
        for _ in range(2):
            optimizer.apply(gradients, variables)
        return np.ravel([v.numpy() for v in variables])
    values, state = [v.value for v in variables], [v.value for v in optimizer.variables]
    for _ in range(2):  # as our engine and Keras' fit do on JAX
        values, state = optimizer.stateless_apply(state, gradients, values)
    return np.ravel(values)


JAX_SCRIPT = """
import runpy, sys
import keras, numpy as np
from fer_search.models.initializers import numpy_initializers
assert keras.backend.backend() == "jax"
folder = sys.argv[1]
here = runpy.run_path(sys.argv.pop())
np.save(f"{folder}/steps.npy", [here["steps"](optimisation) for optimisation in here["OPTIMISATIONS"]])
images = np.load(f"{folder}/images.npy")
for name in sys.argv[2:]:
    with numpy_initializers():  # of weights that loading replaces
        model = keras.saving.load_model(f"{folder}/{name}.keras")
    model.jit_compile = True  # compiles one program, not one for each operation
    np.save(f"{folder}/{name}.npy", model.predict(images, verbose=0))
    np.save(f"{folder}/{name}_trainable.npy", [len(model.trainable_variables), len(model.weights)])
"""


def initialise_kernels(model):
    """Draw all kernels with He et al. 2015 initialisation: with Keras' default, activations vanish in deep networks."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name == "kernel":
            inputs = np.prod(weight.shape[:2] if weight.shape[-1] == 1 else weight.shape[:-1])
            weight.assign(rng.normal(scale=np.sqrt(2 / inputs), size=weight.shape))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder with the saved models, after a training call that updates BN statistics, and their predictions here."""
    folder = tmp_path_factory.mktemp("saved")
    images = np.random.default_rng(0).integers(0, 256, (6, 48, 48, 1)).astype("float32")
    np.save(folder / "images.npy", images)
    for name, design in DESIGNS.items():
        model = build_model(design)
        initialise_kernels(model)
        model(images, training=True)
        model.save(folder / f"{name}.keras")
        np.save(folder / f"{name}_here.npy", model.predict(images, verbose=0))
        np.save(folder / f"{name}_trainable_here.npy", [len(model.trainable_variables), len(model.weights)])
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    command = [sys.executable, "-c", JAX_SCRIPT, str(folder), *DESIGNS, __file__]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1500)
    assert result.returncode == 0, result.stderr[-3000:]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_a_model_predicts_the_same_with_jax(folder, name):
    here, with_jax = np.load(folder / f"{name}_here.npy"), np.load(folder / f"{name}.npy")
    assert np.abs(here - here[0]).max() > TOLERANCE, "same prediction for all images"
    np.testing.assert_allclose(with_jax, here, atol=TOLERANCE)
    np.testing.assert_array_equal(
        np.load(folder / f"{name}_trainable.npy"), np.load(folder / f"{name}_trainable_here.npy")
    )


@pytest.mark.slow
def test_optimizers_take_the_same_steps_with_jax(folder):
    here = np.array([steps(optimisation) for optimisation in OPTIMISATIONS])
    np.testing.assert_allclose(np.load(folder / "steps.npy"), here, rtol=1e-5)
    assert (1 - here[:, 0] < 0.6 * (1 - here[:, 2])).all()  # the backbone moves half as far


@pytest.fixture(scope="module")
def load(folder):
    """Load a saved model, once."""
    return functools.cache(lambda name: keras.saving.load_model(folder / f"{name}.keras"))


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_a_model_loads_with_equal_predictions(folder, load, name):
    model = load(name)
    images, expected = np.load(folder / "images.npy"), np.load(folder / f"{name}_here.npy")
    np.testing.assert_array_equal(model.predict(images, verbose=0), expected)
    np.testing.assert_allclose(model(images), expected, atol=1e-6)  # inference is the default


@pytest.mark.slow
@pytest.mark.parametrize("name", ["residual", "mobilenet"])
def test_an_exported_model_gives_equal_predictions(folder, load, name, tmp_path):
    import tensorflow as tf

    load(name).export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")
    predictions = exported.serve(np.load(folder / "images.npy"))
    np.testing.assert_allclose(predictions, np.load(folder / f"{name}_here.npy"), atol=1e-5)
