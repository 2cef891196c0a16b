"""Benchmarks of small networks: planning training runs for a time budget and reading off accuracies."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from fer_search.design import Design, Optimisation

FOLDER = Path(__file__).parents[2] / "benchmarks"
CYCLE, PLATEAU = (Design(optimisation=Optimisation(schedule=name)) for name in ("one_cycle", "plateau"))


def test_a_finite_schedule_gets_a_training_run_per_time_budget(module):
    hour = module("hour")
    jobs = hour.trainings(CYCLE, 10.0, [5.0, 60.0], number=0, seed=2)
    assert {budget: job.epochs for budget, job in jobs.items()} == {5.0: 29, 60.0: 349}
    assert len({job.folder for job in jobs.values()}) == 2
    [longest] = set(hour.trainings(PLATEAU, 10.0, [5.0, 60.0], number=1, seed=2).values())
    assert longest.epochs == 349


def test_accuracies_are_read_off_within_the_budget(module):
    hour = module("hour")
    rows = [{"epoch": e, "val_accuracy": e / 10, "seconds": 30.0} for e in (1, 2, 3, 4)]
    assert hour.at_budget(rows, PLATEAU, 1.0) == (0.2, 1.0, 2)
    assert hour.at_budget(rows, PLATEAU, 0.1) == (0.1, 0.5, 1)  # at least one epoch
    assert hour.at_budget(rows, CYCLE, 1.0) == (0.4, 2.0, 4)  # its own training run, complete


def test_a_plan_for_other_data_is_refused(module, tmp_path):
    hour = module("hour")
    (tmp_path / hour.PLAN).write_text(json.dumps({"data": "toy faces", "images": 10}))
    options = SimpleNamespace(folder=tmp_path)
    with pytest.raises(SystemExit, match="10 images of toy faces; give another --folder"):
        hour.make_plan(options, {}, SimpleNamespace(labels=[0] * 20), "FER2013")


def test_a_stopped_and_resumed_design_counts_once(module, tmp_path):
    first_search = module("first_search")
    trials = [
        ("0000", None, 0.5),
        ("0001", None, 0.3),
        ("0002", "0000", 0.6),
        ("0003", "0001", 0.7),
        ("0004", None, None),
    ]
    for number, parent, score in trials:
        values = {"tuner/trial_id": parent} if parent else {}
        folder = tmp_path / f"trial_{number}"
        folder.mkdir()
        content = {"trial_id": number, "score": score, "hyperparameters": {"values": values}}
        (folder / "trial.json").write_text(json.dumps(content))
    (tmp_path / "run.json").write_text('{"seconds": 120.0}')
    outcome = first_search.outcome(tmp_path)
    assert outcome == {"default": 0.6, "best": 0.7, "trial": "0001", "designs": 2, "minutes": 2.0}


def test_first_search_uses_the_options_of_make_search(module):
    space, file, *options = module("first_search").makefile_options()
    assert space == "--space"
    assert Path(file).is_file()
    assert "--time-budget" in options
