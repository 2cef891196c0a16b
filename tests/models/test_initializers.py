"""Weight initialisers; tests/test_jax.py also runs these tests on JAX."""

import random

import keras
import numpy as np
import pytest
from keras import initializers
from scipy import stats

from fer_search.design import Backbone, Design, Head, Residual
from fer_search.models import build_model
from fer_search.models.initializers import numpy_initializers

DESIGN = Design(network=Residual(stages=((3,), (4,))), head=Head(dense=(5,), dropout=0.2))
DISTRIBUTIONS = (
    initializers.GlorotUniform, initializers.HeNormal, initializers.LecunUniform, initializers.RandomNormal,
    initializers.RandomUniform, initializers.TruncatedNormal, initializers.Orthogonal,
)  # fmt: skip


@pytest.mark.parametrize("kind", DISTRIBUTIONS)
def test_the_distribution_matches_keras(kind):
    shape = (3, 3, 32, 64)
    with numpy_initializers():
        ours, again = (np.ravel(kind(seed=1)(shape)) for _ in range(2))
    theirs = np.ravel(kind(seed=1)(shape))
    assert ours.dtype == theirs.dtype == np.float32
    np.testing.assert_array_equal(ours, again)
    assert not np.array_equal(ours, theirs)
    assert stats.ks_2samp(ours, theirs).pvalue > 0.01
    np.testing.assert_allclose(abs(ours).max(), abs(theirs).max(), rtol=0.2)


def test_weights_depend_on_the_seed_but_not_on_the_backend():
    random.seed(4)
    model = build_model(DESIGN)
    kernel, seed = model.get_weights()[0], model.get_layer("stage1_block1_conv1").kernel_initializer.seed
    assert seed == 325664384  # second draw of Python's generator seeded with 4
    drawn = np.random.default_rng(seed).random((3, 3, 1, 3), np.float32)
    np.testing.assert_allclose(kernel, (2 * drawn - 1) * (6 / (9 + 27)) ** 0.5, rtol=1e-6)
    for seed, equal in ((4, True), (5, False)):
        keras.utils.set_random_seed(seed)
        assert (kernel == build_model(DESIGN).get_weights()[0]).all() == equal


def test_a_backbones_weights_are_drawn_the_same_way():
    models = []
    for _ in range(2):
        random.seed(4)
        models.append(build_model(Design(network=Backbone("MobileNet", weights="none", alpha=0.25))))
    for first, second in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(first, second)


def test_initialisers_are_serialised_as_keras_initialisers():
    layer = next(layer for layer in build_model(DESIGN).layers if isinstance(layer, keras.layers.Conv2D))
    config = keras.saving.serialize_keras_object(layer.kernel_initializer)
    assert (config["module"], config["class_name"]) == ("keras.initializers", "GlorotUniform")
    before = np.asarray(initializers.GlorotUniform(seed=1)((2, 2)))
    with pytest.raises(KeyError), numpy_initializers():
        raise KeyError
    np.testing.assert_array_equal(np.asarray(initializers.GlorotUniform(seed=1)((2, 2))), before)
