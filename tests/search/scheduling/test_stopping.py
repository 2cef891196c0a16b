"""Early stopping and median pruning."""

from fer_search.search.scheduling.stopping import StoppingRule


def test_patience_counts_epochs_without_a_new_best():
    rule = StoppingRule(2, (), 10)
    assert rule.reason([]) == ""
    assert rule.reason([0.1, 0.3, 0.2]) == ""
    assert "no better for 2 epochs" in rule.reason([0.1, 0.3, 0.2, 0.3])


def test_median_pruning_waits_for_epochs_and_for_other_trials():
    curves = [[0.1 * k, 0.2 * k, 0.2 * k] for k in range(1, 6)]
    rule = StoppingRule(None, curves, 10)
    assert rule.reason([0.0, 0.1]) == ""  # within the warm-up
    assert "below the median 0.600" in rule.reason([0.0, 0.1, 0.2])
    assert rule.reason([0.0, 0.1, 0.61]) == ""
    assert StoppingRule(None, curves[:4], 10).reason([0.0, 0.0, 0.0]) == ""  # too few trials for a median
