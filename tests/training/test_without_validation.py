"""Training without a validation set, for testing a design that was chosen before."""

import numpy as np
import pytest
from cases import TINY

from fer_search.design import Design, Optimisation
from fer_search.training.trial import Trial, TrialData, train, trained_model


def test_plateau_schedule_follows_another_runs_losses(tmp_path, faces):
    design = Design(
        network=TINY,
        optimisation=Optimisation(batch_size=28, learning_rate=1e-2, schedule="plateau", plateau_patience=1),
    )
    images, labels = faces.images[:56], faces.labels[:56]
    data = TrialData(images, labels, images[:0], labels[:0])
    trial = Trial(design, 4, tmp_path, seed=0, number=0, schedule_losses=(1.0, 0.9, 0.95, 0.8))
    rows = train(trial, data)
    assert [row["learning_rate"] for row in rows] == pytest.approx([1e-2, 1e-2, 1e-2, 1e-3])
    assert all(np.isnan(row["val_accuracy"]) for row in rows)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch_0004.weights.h5", "epochs.csv"]


def test_prediction_uses_the_ema_weights_of_the_last_epoch(tmp_path, faces):
    images, labels = faces.images[:56], faces.labels[:56]
    data = TrialData(images, labels, images[:0], labels[:0])
    optimisation = Optimisation(batch_size=28, ema=0.9, schedule="constant")
    trial = Trial(Design(network=TINY, optimisation=optimisation), 1, tmp_path, 0, 0)
    train(trial, data)
    with trained_model(trial, data.spec) as model:
        averages = model.optimizer._model_variables_moving_average
        for variable, average in zip(model.trainable_variables, averages, strict=True):
            np.testing.assert_array_equal(np.asarray(variable), np.asarray(average))
