"""The metric that a search optimises, and its direction."""

import pytest

from fer_search.errors import UserError
from fer_search.runfolder.objective import Objective, parse_objective, recorded_objective
from fer_search.search.scheduling.stopping import StoppingRule

CLASSES = ("happy", "sad")


@pytest.mark.parametrize(
    ("text", "name", "direction"),
    [
        ("accuracy", "val_accuracy", "max"),
        ("val_loss", "val_loss", "min"),
        ("macro_f1", "val_macro_f1", "max"),
        ("val_balanced_accuracy", "val_balanced_accuracy", "max"),
        ("recall_sad", "recall_sad", "max"),
        ("val_recall_happy", "recall_happy", "max"),
    ],
)
def test_any_recorded_metric_can_be_the_objective(text, name, direction):
    assert parse_objective(text, CLASSES) == Objective(name, direction)


@pytest.mark.parametrize("text", ["auc", "recall_bored", "learning_rate", ""])
def test_an_unknown_metric_is_refused_with_a_list_of_metrics(text):
    with pytest.raises(UserError, match=r"not a recorded metric; choose val_accuracy, .*recall_happy, recall_sad"):
        parse_objective(text, CLASSES)


def test_before_the_data_are_read_a_class_may_have_any_name():
    assert parse_objective("recall_bored", None) == Objective("recall_bored", "max")
    with pytest.raises(UserError, match=r"not a recorded metric; choose val_accuracy, .*recall_CLASS"):
        parse_objective("auc", None)


def test_the_best_row_follows_the_direction():
    rows = [{"epoch": k, "val_loss": loss} for k, loss in enumerate([float("nan"), 0.9, 0.4, 0.7], start=1)]
    assert Objective("val_loss", "min").best(rows)["epoch"] == 3
    assert Objective("val_loss", "max").best(rows)["epoch"] == 2
    assert recorded_objective({"objective": {"name": "val_loss", "direction": "min"}}).direction == "min"
    assert recorded_objective({}) == recorded_objective(None) == Objective()


def test_stopping_follows_the_direction():
    loss = Objective("val_loss", "min")
    patient = StoppingRule(2, (), 10, loss)
    assert patient.reason([0.9, 0.8, 0.7]) == ""
    assert "no better for 2 epochs" in patient.reason([0.7, 0.8, 0.9])
    pruned = StoppingRule(None, [[0.5, 0.4, 0.3]] * 5, 10, loss)
    assert "0.600 is above the median 0.300" in pruned.reason([0.9, 0.8, 0.6])
    assert pruned.reason([0.9, 0.8, 0.2]) == ""
