"""The training step compiled with XLA, as on GPUs, equals the one without XLA, as on CPUs."""

import keras
import numpy as np
import pytest
from cases import NETWORK, TINY

from fer_search.design import Augmentation, Design, Optimisation
from fer_search.models import build_model, make_loss

if keras.backend.backend() != "tensorflow":
    pytest.skip("of TensorFlow alone", allow_module_level=True)

from fer_search.augment import draw_epoch
from fer_search.training.batches import draw_batches
from fer_search.training.tensorflow_engine import TensorFlowEngine

AUGMENTATION = Augmentation(rotation=20, flip=True, cutout=8, mixup_alpha=0.3)


@pytest.mark.parametrize(
    "optimisation",
    [
        Optimisation(optimizer="adamw", learning_rate=0.02, weight_decay=0.01, clip_norm=1.0, precision="float32"),
        Optimisation(optimizer="sgd", learning_rate=0.05, momentum=0.9, ema=0.9, precision="float32"),
    ],
    ids=["adamw", "sgd"],
)
def test_the_step_is_the_same_with_and_without_xla(faces, optimisation):
    rng, results = np.random.default_rng(0), []
    network = NETWORK if optimisation.optimizer == "adamw" else TINY
    rows, weights = draw_batches(rng, 64, 32)
    batches = {"rows": rows, "weights": weights, "loss_weights": weights}
    batches |= draw_epoch(rng, *rows.shape, AUGMENTATION)
    batches["learning_rates"] = np.full(len(rows), optimisation.learning_rate, np.float32)
    for jit in (False, True):
        keras.utils.set_random_seed(0)
        model = build_model(Design(network=network, augmentation=AUGMENTATION, optimisation=optimisation))
        engine = TensorFlowEngine(model, make_loss(optimisation, reduction="none"), jit=jit)
        data = engine.put(faces.images[:64]), engine.put(faces.labels[:64].astype(np.int32))
        engine.begin_epoch(data, batches, np.random.default_rng(0))
        sums = engine.train(0, len(rows))
        engine.end_epoch()
        results.append((sums, [*model.trainable_variables, *model.optimizer.variables]))
    (sums, plain), (same, compiled) = results
    np.testing.assert_allclose(same, sums, rtol=1e-4)
    for value, other in zip(plain, compiled, strict=True):
        if not value.path.endswith(
            ("conv1/bias", "conv2/bias")
        ):  # before a normalisation: gradients are rounding errors
            np.testing.assert_allclose(np.asarray(other), np.asarray(value), rtol=1e-2, atol=1e-3, err_msg=value.path)
