"""Our training loop compared with plain ``model.fit``, from the same weights and with the same batches."""

import random

import keras
import numpy as np
import pytest
from cases import NETWORK, TINY

from fer_search.data.spec import FER2013_CLASSES as CLASSES
from fer_search.design import Design, Optimisation
from fer_search.models import build_model, make_loss
from fer_search.training.batches import balanced_weights, draw_batches
from fer_search.training.ema import ema_weights
from fer_search.training.engines import make_engine
from fer_search.training.score import score

EPOCHS, IMAGES, BATCH = 2, 120, 30
CASES = {
    "adam, class weights": Optimisation(learning_rate=3e-3, class_weights="balanced"),
    "adamw, clipping, focal loss": Optimisation(
        optimizer="adamw", learning_rate=3e-3, weight_decay=0.05, clip_value=0.01, focal_gamma=2.0
    ),
    "sgd, Nesterov, decay, clipping, averages": Optimisation(
        optimizer="sgd", learning_rate=0.03, momentum=0.9, weight_decay=0.01, clip_norm=0.5, ema=0.9
    ),
}


@pytest.mark.parametrize("optimisation", CASES.values(), ids=CASES)
def test_losses_equal_those_of_fit_in_every_epoch(faces, optimisation):
    """Losses agree to a relative tolerance of 1e-4 and final weights to 5e-4 on average.

    Convolution biases before a normalisation are excluded: they have no effect and their gradients are rounding errors,
    which Adam normalises, so that these biases move as much as any weight.
    """
    train, test = faces.rows("train")[:IMAGES], faces.rows("test")[:35]
    images, labels = faces.images[train], faces.labels[train]
    shown, truth = faces.images[test], faces.labels[test]
    random.seed(3)
    network = NETWORK if optimisation.optimizer == "adam" else TINY
    design = Design(network=network, optimisation=optimisation)
    ours, theirs = build_model(design), build_model(design)
    theirs.set_weights(ours.get_weights())
    rows, weights = draw_batches(np.random.default_rng(0), IMAGES, BATCH)

    balanced = optimisation.class_weights == "balanced"
    theirs.compile(theirs.optimizer, theirs.loss, metrics=["accuracy"], jit_compile=keras.backend.backend() == "jax")
    order = rows.reshape(-1)
    fitted = theirs.fit(
        images[order][..., None].astype("float32"),
        np.eye(7)[labels[order]],
        batch_size=BATCH,
        epochs=EPOCHS,
        shuffle=False,
        class_weight={c: IMAGES / (7 * n) for c, n in enumerate(np.bincount(labels))} if balanced else None,
        validation_batch_size=len(truth),
        validation_data=(shown[..., None].astype("float32"), np.eye(7)[truth]),
        verbose=0,
    ).history

    engine = make_engine(ours, make_loss(optimisation, reduction="none"))
    placed = (engine.put(images), engine.put(labels.astype(np.int32)))
    batches = {
        "rows": rows,
        "weights": weights,
        "loss_weights": balanced_weights(labels, 7)[rows] if balanced else weights,
        "learning_rates": np.full(len(rows), optimisation.learning_rate, np.float32),
    }
    seen, in_order = engine.put(shown), {"rows": np.arange(35, dtype=np.int32)[None]}
    for epoch in range(EPOCHS):
        engine.begin_epoch(placed, batches, np.random.default_rng(0))
        sums = engine.train(0, 1) + engine.train(1, len(rows))
        engine.end_epoch()
        assert sums[0] / sums[2] == pytest.approx(fitted["loss"][epoch], rel=1e-4)
        assert sums[1] / sums[2] == pytest.approx(fitted["accuracy"][epoch], abs=0.01)
        if not optimisation.focal_gamma:  # our validation loss is plain cross-entropy
            loss = score(engine.predict(seen, in_order), truth, CLASSES)["loss"]
            assert loss == pytest.approx(fitted["val_loss"][epoch], rel=1e-4)
    with ema_weights(ours):  # fit replaces the weights by their averages at the end
        for a, b in zip(ours.weights, theirs.weights, strict=True):
            if not a.path.endswith(("conv1/bias", "conv2/bias")):
                assert np.abs(np.asarray(a) - np.asarray(b)).mean() < 5e-4, a.path
