"""What confirm.json says."""

from fer_search.runfolder import confirmation


def test_the_first_design_is_the_one_that_was_chosen_first():
    """The recommended one, also where another had a higher validation accuracy."""
    record = {
        "candidates": [{"val_accuracy": 0.4}, {"val_accuracy": 0.5}],
        "trainings": [{"candidate": c, "seed": s, "tests": {}} for s in (1, 0) for c in (1, 0)]
        + [{"candidate": 0, "seed": 2, "why": "it diverged"}],
    }
    assert confirmation.tested_trainings(record) == [(0, 0, 0), (2, 0, 1), (1, 1, 0), (3, 1, 1)]
