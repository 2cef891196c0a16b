"""Metrics of predictions."""

import numpy as np
import pytest

from fer_search.data.spec import FER2013_CLASSES as CLASSES
from fer_search.training.score import score


def test_score_matches_a_hand_computed_case():
    probabilities = np.full((4, 7), 0.05)
    probabilities[[0, 1, 2, 3], [0, 0, 3, 6]] = 0.7
    metrics = score(probabilities, np.array([0, 1, 3, 6]), CLASSES)
    assert metrics["accuracy"] == 0.75
    assert metrics["loss"] == pytest.approx(-(3 * np.log(0.7) + np.log(0.05)) / 4)
    assert (metrics["recall_angry"], metrics["recall_disgust"], metrics["recall_happy"]) == (1, 0, 1)
    assert np.isnan(metrics["recall_sad"])
