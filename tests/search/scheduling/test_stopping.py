"""Early stopping and median pruning."""

from types import SimpleNamespace

from fer_search.runfolder.epochs import METRIC_COLUMNS, append_epoch
from fer_search.search.scheduling.stopping import StoppingCallback, StoppingRule


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


def test_patience_counts_the_epochs_of_the_trials_that_one_continues(tmp_path):
    """The best of four earlier epochs is the first; a trial has an epoch of its own all the same."""
    rows = [dict.fromkeys(METRIC_COLUMNS, value) | {"epoch": k} for k, value in enumerate([0.5, 0.2, 0.3, 0.4, 0.1], 1)]
    callback = StoppingCallback(StoppingRule(3, (), 10), tmp_path / "epochs.csv", rows[:4])
    callback.set_model(SimpleNamespace(stop_training=False))
    callback.on_train_begin()
    assert callback.why == ""
    append_epoch(tmp_path / "epochs.csv", rows[4])
    callback.on_epoch_end(4)
    assert callback.why == "ended after epoch 5: no better for 4 epochs"
    assert callback.model.stop_training
