"""Resuming in the middle of an epoch; gradient accumulation over micro-batches."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from cases import SMALL, make_trial, timeless

from fer_search.design import Optimisation
from fer_search.models import build_model, make_loss
from fer_search.runfolder.schema import MID_EPOCH_FILE
from fer_search.training import loop
from fer_search.training.batches import draw_batches
from fer_search.training.engine import random_states
from fer_search.training.engines import make_engine
from fer_search.training.mid_epoch import load_mid_epoch, save_mid_epoch
from fer_search.training.trial import Stopped, TrialData, TrialHooks, train


@pytest.fixture(scope="module")
def data(faces):
    return TrialData(faces.images[:90], faces.labels[:90], faces.images[420:450], faces.labels[420:450])


def test_an_epoch_resumes_at_the_step_where_it_was_stopped(tmp_path, data, monkeypatch):
    uninterrupted, stopped = (replace(make_trial(tmp_path / n, 1), micro_batches=2) for n in ("a", "b"))
    monkeypatch.setattr(loop, "SAVE_INTERVAL", 0.0)  # the state is saved after every step
    rows = train(uninterrupted, data)
    with pytest.raises(Stopped):
        train(stopped, data, TrialHooks(should_stop=lambda: True))
    seen = []
    assert timeless(train(stopped, data, TrialHooks(on_progress=seen.append))) == timeless(rows)
    assert [progress.done for progress in seen] == [60, 90]  # of 90 images, 30 per step: the first step is not repeated
    assert not (stopped.folder / MID_EPOCH_FILE).exists()


def test_micro_batches_give_the_gradient_of_the_full_batch(data):
    def trained(parts):
        keras.utils.set_random_seed(0)
        images = keras.Input((48, 48, 1))
        flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(images))
        model = keras.Model(images, keras.layers.Dense(7, activation="softmax")(flat))
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "categorical_crossentropy")
        engine = make_engine(model, make_loss(Optimisation(), reduction="none"), parts)
        rows, weights = draw_batches(np.random.default_rng(0), 89, 30)
        batches = {"rows": rows, "weights": weights, "loss_weights": weights}
        batches["learning_rates"] = np.full(len(rows), 0.1, np.float32)
        engine.begin_epoch((engine.put(data.images), engine.put(data.labels)), batches, np.random.default_rng(0))
        sums = engine.train(0, len(rows))
        engine.end_epoch()
        return sums, np.asarray(model.layers[-1].kernel)

    (sums, kernel), (same_sums, same_kernel) = trained(1), trained(4)  # 30 images in four parts: padded by two
    np.testing.assert_allclose(sums, same_sums, rtol=1e-5)
    np.testing.assert_allclose(kernel, same_kernel, atol=1e-5)
    assert sums[2] == 89


def test_a_mid_epoch_state_round_trips(tmp_path):
    """Saves weights, optimiser state, metric sums, states of random layers and the seconds of the steps."""
    model = build_model(SMALL)
    model.optimizer.build(model.trainable_variables)
    state = random_states(model)[0]
    state.assign(np.array([3, 4]))
    save_mid_epoch(model, tmp_path, epoch=2, step=5, sums=np.array([1.5, 2.5, 3.5]), seconds=12.5)
    other = build_model(SMALL)
    assert load_mid_epoch(other, tmp_path, epoch=1) is None
    saved = load_mid_epoch(other, tmp_path, epoch=2)
    assert (saved.epoch, saved.step, saved.seconds, saved.sums.tolist()) == (2, 5, 12.5, [1.5, 2.5, 3.5])
    np.testing.assert_array_equal(saved.states[0], [3, 4])
    for a, b in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
