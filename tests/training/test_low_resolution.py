"""Progressive resizing: the first epochs train on shrunken images; validation uses the full size."""

import keras
import numpy as np
import pytest
from cases import make_trial

from fer_search.augment.resize import area_matrix, shrink
from fer_search.design import Backbone, Design, DesignError, Head, Optimisation, Residual
from fer_search.models import build_model
from fer_search.training.loop import EpochLoop
from fer_search.training.types import TrialData, TrialHooks

DESIGN = Design(
    network=Residual(stages=((4,), (6,)), normalization="none"),
    optimisation=Optimisation(
        learning_rate=1e-12, schedule="constant", batch_size=32, precision="float32", low_resolution=32
    ),
)


@pytest.fixture
def data(faces):
    rows, others = faces.rows("train")[:64], faces.rows("test")[:40]
    return TrialData(faces.images[rows], faces.labels[rows], faces.images[others], faces.labels[others])


def cross_entropy(model, images, labels):
    probabilities = np.asarray(model.call(keras.ops.convert_to_tensor(images[..., None]), training=False))
    return float(-np.log(probabilities[np.arange(len(labels)), labels]).mean())


def test_the_first_half_of_the_epochs_trains_on_shrunken_images(data, tmp_path):
    """With a negligible learning rate, an epoch's loss is that of the initial network."""
    keras.utils.set_random_seed(0)
    model = build_model(DESIGN)
    loop = EpochLoop(make_trial(tmp_path, epochs=4, design=DESIGN), data, model, TrialHooks())
    images = data.images.astype(np.float32)
    small = np.asarray(shrink(images, area_matrix(48, 32)))
    low, full = cross_entropy(model, small, data.labels), cross_entropy(model, images, data.labels)
    validation = cross_entropy(model, data.val_images.astype(np.float32), data.val_labels)
    assert abs(low - full) > 1e-4
    rows = [loop.run_epoch(epoch, []) for epoch in (1, 2, 3, 4)]
    assert [row["loss"] for row in rows] == pytest.approx([low, low, full, full], rel=1e-5)
    assert [row["val_loss"] for row in rows] == pytest.approx([validation] * 4, rel=1e-5)


@pytest.mark.parametrize(
    ("network", "head"), [(Backbone("MobileNet", "none"), Head()), (Residual(), Head(pooling="flatten"))]
)
def test_a_network_with_a_fixed_input_size_is_refused(network, head):
    with pytest.raises(DesignError, match=r"Optimisation\.low_resolution must be 0 for .* 'flatten'"):
        Design(network=network, head=head, optimisation=Optimisation(low_resolution=32))


@pytest.mark.parametrize("side", [24, 48, 31])
def test_invalid_low_resolutions_are_refused(side):
    with pytest.raises(DesignError, match=r"Optimisation\.low_resolution must be pixels from 32 to 47, or 0 for never"):
        Optimisation(low_resolution=side)
