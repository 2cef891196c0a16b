"""Fused updates equal those of Keras' optimisers."""

import keras
import numpy as np
import pytest

from fer_search.design import Optimisation
from fer_search.models import make_optimizer

if keras.backend.backend() != "tensorflow":
    pytest.skip("of TensorFlow alone", allow_module_level=True)

from fer_search.training.tensorflow_optimizer import use_fused_updates

PATHS = ("conv1/kernel", "bn1/gamma", "probabilities/kernel")
GIVEN = {
    "adam": {},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
    "adam, clipped, averaged": {"clip_norm": 0.5, "ema": 0.9},
    "sgd": {"optimizer": "sgd"},
    "sgd, momentum": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.1, "clip_value": 0.5},
}


def trained(optimizer, fused):
    """Return variables and optimiser state after some steps with a different learning rate in each."""
    rng, variables = np.random.default_rng(0), []
    for path in PATHS:
        with keras.name_scope(path.partition("/")[0]):
            variables.append(keras.Variable(rng.normal(size=(4, 3)).astype("float32"), name=path.partition("/")[2]))
    optimizer.build(variables)
    if fused:
        before = optimizer._backend_update_step
        use_fused_updates(optimizer)
        assert optimizer._backend_update_step != before
    for step in range(6):
        optimizer.learning_rate = 0.1 / (step + 1)
        optimizer.apply([keras.ops.convert_to_tensor(rng.normal(size=(4, 3)), "float32") for _ in PATHS], variables)
    return [np.asarray(v) for v in [*variables, *optimizer.variables]]


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
@pytest.mark.parametrize(
    "backbone", [{}, {"backbone_factor": 0.25}, {"freeze_initially": True}], ids=["", "factor", "frozen"]
)
def test_a_fused_step_equals_keras(given, backbone):
    results = []
    for fused in (False, True):
        optimizer = make_optimizer(Optimisation(**{"learning_rate": 0.1} | given), **backbone)
        if "freeze_initially" in backbone:
            optimizer.frozen_steps = 3
        results.append(trained(optimizer, fused))
    for own, fused in zip(*results, strict=True):
        np.testing.assert_allclose(fused, own, rtol=2e-4, atol=2e-5)


def test_other_optimisers_are_not_changed():
    for optimizer in (keras.optimizers.Adam(amsgrad=True), keras.optimizers.Nadam(), keras.optimizers.RMSprop()):
        use_fused_updates(optimizer)
        assert "_backend_update_step" not in vars(optimizer)
