"""Frozen backbones: frozen epochs converted to training steps."""

import pytest
from cases import make_trial

from fer_search.design import Backbone, Design, Optimisation
from fer_search.models import build_model
from fer_search.training.loop import EpochLoop
from fer_search.training.trial import TrialData, TrialHooks


@pytest.mark.parametrize("epochs", [0, 2])
def test_frozen_epochs_are_converted_to_steps(tmp_path, faces, epochs):
    network = Backbone("MobileNet", "none", alpha=0.25, train_from=5, frozen_epochs=epochs)
    trial = make_trial(tmp_path, design=Design(network=network, optimisation=Optimisation(batch_size=32)))
    model = build_model(trial.design)
    images, labels = faces.images[:150], faces.labels[:150]
    loop = EpochLoop(trial, TrialData(images, labels, images, labels), model, TrialHooks())
    steps = len(loop._draw(1, [])["rows"])
    assert steps == 5
    assert model.optimizer.frozen_steps == epochs * steps
