"""Prediction during training: weight averages, views and precision."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from cases import SMALL, make_trial

from fer_search.design import Evaluation
from fer_search.models import build_model
from fer_search.training.predict import predict_images
from fer_search.training.trial import TrialHooks, train


def test_ema_weights_are_used_for_prediction_but_not_for_training(tmp_path, data):
    """Training is the same with and without EMA; validation and the best weights use the averages."""
    with_ema = replace(SMALL, optimisation=replace(SMALL.optimisation, ema=0.8))
    averaged = train(make_trial(tmp_path / "ema", 2, design=with_ema), data)
    plain = train(make_trial(tmp_path / "plain", 2), data)
    assert [row["loss"] for row in averaged] == [row["loss"] for row in plain]
    assert averaged[0]["val_loss"] != plain[0]["val_loss"]
    model = build_model(with_ema)
    best = max(averaged, key=lambda row: row["val_accuracy"])
    model.load_weights(tmp_path / "ema" / "best.weights.h5")
    hit = predict_images(model, with_ema, data.val_images).argmax(axis=1) == data.val_labels
    assert hit.mean() == pytest.approx(best["val_accuracy"], abs=1e-9)


def test_flip_view_averages_image_and_mirror_image(data):
    keras.utils.set_random_seed(0)
    model = build_model(SMALL)
    images = data.val_images[:20]
    upright, mirrored = (predict_images(model, SMALL, shown) for shown in (images, images[:, :, ::-1]))
    flip = predict_images(model, replace(SMALL, evaluation=Evaluation("flip")), images)
    np.testing.assert_allclose(flip, (upright + mirrored) / 2, atol=1e-6)
    ten = predict_images(model, replace(SMALL, evaluation=Evaluation("ten_crop")), images)
    np.testing.assert_allclose(ten.sum(axis=1), 1, atol=1e-5)
    assert abs(ten - flip).max() > 1e-4


def test_bfloat16_keeps_weights_and_loss_in_float32(tmp_path, data):
    seen = []
    design = replace(SMALL, optimisation=replace(SMALL.optimisation, precision="bfloat16"))
    half = train(make_trial(tmp_path / "half", 2, design=design), data, TrialHooks(on_model_built=seen.append))
    full = train(make_trial(tmp_path / "full", 2), data, TrialHooks(on_model_built=seen.append))
    assert {v.dtype for v in seen[0].trainable_variables} == {"float32"}
    convolutions = [layer for layer in seen[0].layers if isinstance(layer, keras.layers.Conv2D)]
    assert {layer.compute_dtype for layer in convolutions} == {"bfloat16"}
    assert seen[0].output.dtype == "float32"
    assert {layer.compute_dtype for layer in seen[1].layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    assert half[0]["loss"] != full[0]["loss"]
    assert half[0]["loss"] == pytest.approx(full[0]["loss"], rel=0.05)
