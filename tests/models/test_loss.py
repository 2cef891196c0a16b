import keras
import numpy as np
import pytest

from fer_search.design import Optimisation
from fer_search.models import make_loss


@pytest.fixture
def pairs(rng):
    labels = rng.dirichlet(np.ones(7), 5).astype("float32")  # like mixed and smoothed labels
    labels[0] = np.eye(7)[3]
    return labels, rng.dirichlet(np.ones(7), 5).astype("float32")


@pytest.mark.parametrize("gamma", [0, 2, 0.5])
def test_losses_match_a_hand_computation(gamma, pairs):
    labels, probabilities = pairs
    by_hand = (-labels * (1 - probabilities) ** gamma * np.log(probabilities)).sum(axis=1)
    optimisation = Optimisation(focal_gamma=gamma)
    each = keras.ops.convert_to_numpy(make_loss(optimisation, reduction="none")(labels, probabilities))
    np.testing.assert_allclose(each, by_hand, rtol=1e-4)
    assert float(make_loss(optimisation)(labels, probabilities)) == pytest.approx(by_hand.mean(), rel=1e-4)
