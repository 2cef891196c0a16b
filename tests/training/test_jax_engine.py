"""JAX-specific behaviour; run by tests/test_jax.py in a separate process."""

import json
import os
import random
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from cases import NETWORK, RICH, SMALL, make_trial, timeless

from fer_search.design import Design, Head, Optimisation, Residual
from fer_search.models import build_model, make_loss, make_optimizer
from fer_search.models.random_layers import Dropout, GaussianNoise
from fer_search.training.batches import draw_batches, sequential_batches
from fer_search.training.trial import Stopped, TrialData, TrialHooks, train

if keras.backend.backend() != "jax":
    pytest.skip("needs the JAX backend", allow_module_level=True)

import jax

from fer_search.training.jax_engine import JaxEngine


@pytest.fixture(scope="module")
def data(faces):
    rows, others = faces.rows("train")[:96], faces.rows("test")[:40]
    return TrialData(faces.images[rows], faces.labels[rows], faces.images[others], faces.labels[others])


def test_training_resumes_bit_for_bit_and_other_scalars_do_not_recompile(tmp_path, data):
    rich = replace(RICH, optimisation=replace(RICH.optimisation, precision="float32"))  # bfloat16 compiles slowly
    models, seen = [], []
    uninterrupted = train(
        make_trial(tmp_path / "uninterrupted", 2, design=rich), data, TrialHooks(on_model_built=models.append)
    )
    assert uninterrupted[1]["learning_rate"] == pytest.approx(1e-7, rel=1e-2)
    stopped = TrialHooks(on_progress=seen.append, should_stop=lambda: seen[-1].epoch == 2)
    with pytest.raises(Stopped):
        train(make_trial(tmp_path / "again", 2, design=rich), data, stopped)
    assert timeless(train(make_trial(tmp_path / "again", 2, design=rich), data)) == timeless(uninterrupted)
    build_model(rich).load_weights(tmp_path / "uninterrupted" / "best.weights.h5")
    optimizer = models[0].optimizer  # scalars that were step inputs are plain numbers again
    assert (optimizer.weight_decay, optimizer.ema_momentum) == (5e-4, 0.9)
    assert {layer.rate for layer in models[0].layers if isinstance(layer, Dropout)} == {0.2}
    assert list((Path(os.environ["FER_SEARCH_CACHE"]) / "jax").iterdir())  # compiled programs are cached

    events = []
    jax.monitoring.register_event_listener(lambda event, **_: events.append(event.rpartition("/")[2]))
    scalars = {"momentum": 0.5, "weight_decay": 1e-3, "clip_norm": 0.1, "ema": 0.5, "focal_gamma": 0.5}
    other = replace(rich, optimisation=replace(rich.optimisation, **scalars), head=replace(rich.head, dropout=0.3))
    train(make_trial(tmp_path / "other", 1, design=other), data)
    assert events.count("cache_hits") == events.count("compile_requests_use_cache") > 1  # all from the cache


@pytest.mark.skipif("FER_SEARCH_EXCHANGED" not in os.environ, reason="needs TensorFlow weights from tests/test_jax.py")
def test_predictions_equal_those_of_tensorflow(faces):
    folder = Path(os.environ["FER_SEARCH_EXCHANGED"])
    model = build_model(SMALL)
    model.load_weights(folder / "tensorflow.weights.h5")
    predictions = np.asarray(model(faces.images[:20][..., None].astype("float32"), training=False))
    np.testing.assert_allclose(predictions, json.loads((folder / "tensorflow.json").read_text()), atol=1e-5)


def dense_engine(loop):
    """Return an engine for a network without convolutions, which are slow in a compiled loop on CPUs."""
    random.seed(0)
    layers = keras.layers
    stack = [layers.Rescaling(1 / 255), layers.Flatten(), Dropout(0.2), layers.Dense(8),
             layers.BatchNormalization(), layers.Dense(7, activation="softmax")]  # fmt: skip
    images = x = keras.Input((48, 48, 1))
    for layer in stack:
        x = layer(x)
    model = keras.Model(images, x)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_momentum=0.5), "categorical_crossentropy")
    return JaxEngine(model, make_loss(SMALL.optimisation, reduction="none"), loop=loop)


def test_the_compiled_loop_equals_the_python_loop(data):
    """The compiled loop is for accelerators; both loops give the same training and predictions."""
    results = []
    for loop in (True, False):
        engine, sums = dense_engine(loop), []
        placed = engine.put(data.images), engine.put(data.labels.astype("int32"))
        for epoch in range(2):
            rows, weights = draw_batches(np.random.default_rng(epoch), len(data.labels), 20)
            rates = np.linspace(0.01, 0.1, len(rows), dtype="float32")
            batches = {"rows": rows, "weights": weights, "loss_weights": weights, "learning_rates": rates}
            engine.begin_epoch(placed, batches, np.random.default_rng(epoch))
            sums.append(engine.train(0, 2) + engine.train(2, len(rows)))
            engine.end_epoch()
        probabilities = engine.predict(engine.put(data.val_images), {"rows": sequential_batches(40, 16)})
        results.append((sums, probabilities, [np.asarray(v) for v in engine.model.weights]))
    compiled, python = results
    np.testing.assert_allclose(compiled[0], python[0], rtol=1e-4)
    assert compiled[1].shape == (42, 7)
    for a, b in zip([compiled[1], *compiled[2]], [python[1], *python[2]], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def lowered(design, factor=1.0, frozen_steps=0):
    """Return a design's lowered training step, which JAX' disk cache is keyed by, and its scalar inputs."""
    model = build_model(design)
    model.optimizer = make_optimizer(design.optimisation, factor, frozen_steps > 0)
    if frozen_steps:
        model.optimizer.frozen_steps = frozen_steps
    engine = JaxEngine(model, make_loss(design.optimisation, reduction="none"))
    images = np.zeros((40, 48, 48), "uint8")
    placed = engine.put(images), engine.put(np.zeros(40, "int32"))
    rows, weights = draw_batches(np.random.default_rng(0), 40, 20)
    batches = {"rows": rows, "weights": weights, "loss_weights": weights, "learning_rates": weights[:, 0]}
    engine.begin_epoch(placed, batches, np.random.default_rng(0))
    carry = (engine.state, engine.put(np.zeros((2, 3), np.float32)))
    return engine._train.lower(carry, *engine.epoch, 0).as_text(), engine.scalars.values()


def scalar_design(dropout=(0.0,), noise=0.0, optimizer="sgd", **optimisation):
    return Design(
        network=Residual(stages=NETWORK.stages, noise=noise),
        head=Head(dense=(4,), dropout=dropout),
        optimisation=Optimisation(optimizer=optimizer, precision="float32", **optimisation),
    )


SCALARS = {
    "dropout, noise, decay, averages": (
        {"dropout": (0.2, 0.5), "noise": 0.1, "weight_decay": 1e-4, "ema": 0.9, "learning_rate": 0.1},
        {"dropout": (0.3, 0.1), "noise": 0.2, "weight_decay": 1e-2, "ema": 0.99, "learning_rate": 0.01},
        6,  # including the backbone's learning rate factor, 1
    ),
    "momentum, norm, focal loss": (
        {"momentum": 0.9, "clip_norm": 1.0, "focal_gamma": 2.0},
        {"momentum": 0.5, "clip_norm": 0.1, "focal_gamma": 0.5},
        3,
    ),
    "values": ({"optimizer": "adam", "clip_value": 0.1}, {"optimizer": "adam", "clip_value": 3}, 1),
}


@pytest.mark.parametrize("name", SCALARS)
def test_designs_that_differ_in_scalars_share_a_program(name):
    *pair, count = SCALARS[name]
    (program, scalars), (other_program, other_scalars) = (lowered(scalar_design(**fields)) for fields in pair)
    assert program == other_program
    assert len(scalars) == len(other_scalars) == count
    plain_program, no_scalars = lowered(scalar_design(optimizer=pair[0].get("optimizer", "sgd")))
    assert (plain_program != program, len(no_scalars)) == (True, 0)


def test_backbones_with_other_factors_and_frozen_steps_share_a_program():
    (program, scalars), (other_program, other_scalars) = (
        lowered(scalar_design(), factor, frozen_steps) for factor, frozen_steps in ((0.1, 3), (0.3, 5))
    )
    assert program == other_program
    np.testing.assert_allclose([scalars, other_scalars], [[0.1, 3], [0.3, 5]])


def test_a_rate_as_program_input_drops_the_same_values_as_keras(rng):
    x = rng.normal(size=(64, 32)).astype("float32")
    for policy in ("float32", "mixed_bfloat16"):
        for kind, name, value in ((Dropout, "rate", 0.3), (GaussianNoise, "stddev", 0.3)):
            layer = kind(value, seed=5, dtype=policy)
            theirs = type(layer).__bases__[0](value, seed=5, dtype=policy)

            def call(value, layer=layer, name=name):
                before = getattr(layer, name)
                setattr(layer, name, value)
                with keras.StatelessScope():
                    y = layer(x, training=True)
                setattr(layer, name, before)
                return y

            actual, expected = jax.jit(call)(np.float32(value)), theirs(x, training=True)
            assert actual.dtype == expected.dtype
            tolerance = 1e-5 if policy == "float32" else 0.02
            np.testing.assert_allclose(
                *(np.asarray(v, "float32") for v in (actual, expected)), rtol=tolerance, atol=tolerance
            )
