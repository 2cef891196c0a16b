import math
from functools import cache

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_search.design import Optimisation
from fer_search.training.schedule import learning_rates


def rates_of_a_run(optimisation, epochs, steps, val_losses=None):
    losses = val_losses or [1.0] * epochs
    return np.concatenate([learning_rates(optimisation, losses[:e], steps, epochs) for e in range(epochs)])


@cache
def small_model():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    return model


@given(st.lists(st.floats(0.1, 3), min_size=1, max_size=30), st.integers(1, 6), st.sampled_from([0.1, 0.5]))
def test_plateau_equals_keras_reduce_lr_on_plateau(losses, patience, factor):
    optimisation = Optimisation(plateau_patience=patience, plateau_factor=factor, min_learning_rate=1e-5)
    model = small_model()
    model.optimizer.learning_rate = 1e-3
    callback = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=factor, patience=patience, min_lr=1e-5)
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, loss in enumerate(losses):
        callback.on_epoch_end(epoch, {"val_loss": loss})
        theirs = float(model.optimizer.learning_rate)
        assert learning_rates(optimisation, losses[: epoch + 1], 3, 50) == pytest.approx(theirs, rel=1e-5)


def test_a_constant_rate_is_constant():
    assert rates_of_a_run(Optimisation(schedule="constant"), 5, 3) == pytest.approx(1e-3)


def test_step_schedule_starts_after_its_start_epoch():
    optimisation = Optimisation(schedule="step", learning_rate=0.01, step_start=3, step_every=2, step_factor=0.5)
    rates = rates_of_a_run(optimisation, 8, 1)
    np.testing.assert_allclose(rates, [0.01, 0.01, 0.01, 0.005, 0.005, 0.0025, 0.0025, 0.00125], rtol=1e-6)
    floor = Optimisation(
        schedule="step", learning_rate=0.01, step_start=0, step_every=1, step_factor=0.5, min_learning_rate=4e-3
    )
    np.testing.assert_allclose(rates_of_a_run(floor, 3, 1), [0.005, 0.004, 0.004], rtol=1e-6)


def test_cosine_reaches_the_minimum_in_the_last_step_of_the_run():
    optimisation = Optimisation(schedule="cosine", learning_rate=0.1, min_learning_rate=0.001)
    rates = rates_of_a_run(optimisation, 4, 5)
    slow = [0.001 + 0.099 * (1 + math.cos(math.pi * (k + 1) / 20)) / 2 for k in range(20)]
    np.testing.assert_allclose(rates, slow, rtol=1e-5)
    rung = learning_rates(optimisation, [1.0], 5, 4)  # a trial of two epochs in a run of four
    np.testing.assert_array_equal(rung, rates[5:10])


def test_one_cycle_rises_for_a_third_of_the_run_and_then_falls():
    optimisation = Optimisation(schedule="one_cycle", optimizer="sgd", learning_rate=0.5, min_learning_rate=1e-4)
    rates = rates_of_a_run(optimisation, 10, 20)
    assert rates[0] == pytest.approx(0.5 / 25, rel=0.02)
    assert rates.argmax() in (59, 60)
    assert rates.max() == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(1e-4, rel=1e-3)
    assert (np.diff(rates[:59]) > 0).all()
    assert (np.diff(rates[61:]) < 0).all()
    assert rates[29] == pytest.approx((0.5 + 0.02) / 2)  # halfway through the rise


@pytest.mark.parametrize("schedule", ["constant", "plateau", "step", "cosine", "one_cycle"])
def test_warm_up_rises_linearly_from_zero(schedule):
    optimisation = Optimisation(schedule=schedule, learning_rate=0.1, warmup_epochs=1.5)
    rates = rates_of_a_run(optimisation, 6, 4)
    first = 0.1 / 25 if schedule == "one_cycle" else 0.1
    np.testing.assert_allclose(rates[:6], first * np.arange(1, 7) / 6, rtol=1e-5)
    assert rates.dtype == np.float32
    if schedule in ("cosine", "one_cycle"):
        assert rates[-1] == pytest.approx(1e-7, rel=1e-3)
    if schedule == "constant":
        assert rates[6:] == pytest.approx(0.1)
