"""What confirm.json says."""

from pathlib import Path

import numpy as np

from fer_search.runfolder import confirmation


def test_the_first_design_is_the_one_that_was_chosen_first():
    """The recommended one, also where another had a higher validation accuracy."""
    record = {
        "candidates": [{"val_accuracy": 0.4}, {"val_accuracy": 0.5}],
        "trainings": [{"candidate": c, "seed": s, "tests": {}} for s in (1, 0) for c in (1, 0)]
        + [{"candidate": 0, "seed": 2, "why": "it diverged"}],
    }
    assert confirmation.tested_trainings(record) == [(0, 0, 0), (2, 0, 1), (1, 1, 0), (3, 1, 1)]


def test_near_ties_are_decided_as_they_were_when_tested(tmp_path: Path) -> None:
    """Half precision would make both classes equal, and the first one the answer."""
    confirmation.write_test_predictions(tmp_path, np.array([[0.49999, 0.50001]], np.float32), np.array([1]))
    hits = confirmation.read_test_hits(tmp_path)
    assert hits is not None
    assert hits.tolist() == [True]
