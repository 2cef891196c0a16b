"""What JAX alone does; run by tests/test_jax.py, in a process of its own."""

import json
import os
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
    pytest.skip("these are of JAX", allow_module_level=True)

import jax

from fer_search.training.jax_engine import JaxEngine


@pytest.fixture(scope="module")
def data(faces):
    rows, others = faces.rows("train")[:96], faces.rows("test")[:40]
    return TrialData(faces.images[rows], faces.labels[rows], faces.images[others], faces.labels[others])


def test_a_stopped_training_goes_on_bit_for_bit_and_another_of_other_scalars_compiles_nothing(tmp_path, data):
    rich = replace(RICH, optimisation=replace(RICH.optimisation, precision="float32"))  # bfloat16 compiles slowly
    models, seen = [], []
    whole = train(make_trial(tmp_path / "whole", 2, design=rich), data, TrialHooks(on_model_built=models.append))
    assert whole[1]["learning_rate"] == pytest.approx(1e-7, rel=1e-2)
    stopped = TrialHooks(on_progress=seen.append, should_stop=lambda: seen[-1].epoch == 2)
    with pytest.raises(Stopped):
        train(make_trial(tmp_path / "again", 2, design=rich), data, stopped)
    assert timeless(train(make_trial(tmp_path / "again", 2, design=rich), data)) == timeless(whole)
    build_model(rich).load_weights(tmp_path / "whole" / "best.weights.h5")
    optimizer = models[0].optimizer  # what steps take as inputs is a number again
    assert (optimizer.weight_decay, optimizer.ema_momentum) == (5e-4, 0.9)
    assert {layer.rate for layer in models[0].layers if isinstance(layer, Dropout)} == {0.2}
    assert list((Path(os.environ["FER_SEARCH_CACHE"]) / "jax").iterdir())  # programs are kept

    events = []
    jax.monitoring.register_event_listener(lambda event, **_: events.append(event.rpartition("/")[2]))
    scalars = {"momentum": 0.5, "weight_decay": 1e-3, "clip_norm": 0.1, "ema": 0.5, "focal_gamma": 0.5}
    other = replace(rich, optimisation=replace(rich.optimisation, **scalars), head=replace(rich.head, dropout=0.3))
    train(make_trial(tmp_path / "other", 1, design=other), data)
    assert events.count("cache_hits") == events.count("compile_requests_use_cache") > 1  # nothing was compiled


@pytest.mark.skipif(
    "FER_SEARCH_EXCHANGED" not in os.environ, reason="needs weights of TensorFlow, from tests/test_jax.py"
)
def test_it_predicts_as_tensorflow_does(faces):
    folder = Path(os.environ["FER_SEARCH_EXCHANGED"])
    model = build_model(SMALL)
    model.load_weights(folder / "tensorflow.weights.h5")
    found = model.predict(faces.images[:20][..., None].astype("float32"), verbose=0)
    np.testing.assert_allclose(found, json.loads((folder / "tensorflow.json").read_text()), atol=1e-5)


def dense_engine(loop):
    """A network without convolutions, which are slow in a loop on CPUs."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    stack = [layers.Rescaling(1 / 255), layers.Flatten(), Dropout(0.2), layers.Dense(8),
             layers.BatchNormalization(), layers.Dense(7, activation="softmax")]  # fmt: skip
    images = x = keras.Input((48, 48, 1))
    for layer in stack:
        x = layer(x)
    model = keras.Model(images, x)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_momentum=0.5), "categorical_crossentropy")
    return JaxEngine(model, make_loss(SMALL.optimisation, reduction="none"), loop=loop)


def test_the_loop_inside_the_program_is_the_loop_outside(data):
    """The loop inside is for accelerators; both train and predict alike."""
    found = []
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
        found.append((sums, probabilities, [np.asarray(v) for v in engine.model.weights]))
    inside, outside = found
    np.testing.assert_allclose(inside[0], outside[0], rtol=1e-4)
    assert inside[1].shape == (42, 7)
    for a, b in zip([inside[1], *inside[2]], [outside[1], *outside[2]], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def lowered(design, factor=1.0, waits=0):
    """Return the text of a design's training step, which is what JAX' cache on disk goes by, and its scalars."""
    model = build_model(design)
    model.optimizer = make_optimizer(design.optimisation, factor, waits > 0)
    if waits:
        model.optimizer.frozen_steps = waits
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
        6,  # one is a backbone's share of the rate, 1
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
    (first, one), (second, other) = (lowered(scalar_design(**fields)) for fields in pair)
    assert first == second
    assert len(one) == len(other) == count
    none, nothing = lowered(scalar_design(optimizer=pair[0].get("optimizer", "sgd")))
    assert (none != first, len(nothing)) == (True, 0)


def test_backbones_that_differ_in_their_share_and_wait_share_a_program():
    (first, one), (second, other) = (lowered(scalar_design(), factor, waits) for factor, waits in ((0.1, 3), (0.3, 5)))
    assert first == second
    np.testing.assert_allclose([one, other], [[0.1, 3], [0.3, 5]])


def test_a_rate_that_is_an_input_drops_what_keras_drops(rng):
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

            found, expected = jax.jit(call)(np.float32(value)), theirs(x, training=True)
            assert found.dtype == expected.dtype
            near = 1e-5 if policy == "float32" else 0.02
            np.testing.assert_allclose(*(np.asarray(v, "float32") for v in (found, expected)), rtol=near, atol=near)
