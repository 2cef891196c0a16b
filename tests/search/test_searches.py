"""Whole searches with made-up trainings: what they try, what they record, and what they refuse."""

import json

import keras_tuner
import pytest

from fer_search.confirm.candidates import choose_candidates
from fer_search.errors import UserError
from fer_search.report import load_trials
from fer_search.report.statistics.verdict import verdict
from fer_search.report.tables.analysis import load_analysis
from fer_search.runfolder.crash_marker import write_crash_marker
from fer_search.runfolder.epochs import read_epochs
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.json_files import read_json
from fer_search.search.executors import job as job_module
from fer_search.training.checkpoint import checkpoint_path


def test_a_finished_search_is_left_alone(search, state, tmp_path):
    assert search(tmp_path, max_trials=2) == 0
    before = state(tmp_path / "tiny")
    assert search(tmp_path, max_trials=2) == 0
    assert state(tmp_path / "tiny") == before


def test_a_search_without_any_result_says_so_by_its_exit_code(search, tmp_path, monkeypatch):
    def failing(trial, data, hooks):
        raise ValueError("nothing works")

    monkeypatch.setattr(job_module, "train", failing)
    assert search(tmp_path, max_trials=2) == 3


@pytest.mark.parametrize(
    ("change", "named"),
    [({"seed": 1}, "--seed was 0, is now 1"), ({"width": 0.5}, "--width"), ({"tuner": "grid"}, "--tuner")],
)
def test_going_on_as_something_else_is_refused(search, state, tmp_path, change, named):
    assert search(tmp_path, max_trials=1) == 0
    before = state(tmp_path / "tiny")
    with pytest.raises(UserError, match=named) as caught:
        search(tmp_path, max_trials=1, **change)
    assert caught.value.exit_code == 5
    assert state(tmp_path / "tiny") == before
    assert search(tmp_path, max_trials=1, overwrite=True, **change) == 0


def test_a_second_process_is_kept_out(search, tmp_path):
    folder = RunFolder(tmp_path / "tiny")
    with folder.lock():
        with pytest.raises(UserError, match="in use by another") as caught:
            search(tmp_path, max_trials=1)
        assert caught.value.exit_code == 4
    assert search(tmp_path, max_trials=1) == 0


def test_hyperband_promotes_from_the_parents_last_state(search, tmp_path):
    assert search(tmp_path, tuner="hyperband", max_trials=None, max_epochs=4, factor=2, baselines="none") == 0
    run = tmp_path / "tiny"
    trials = [json.loads(p.read_text()) for p in sorted(run.glob("trial_*/trial.json"))]
    promoted = [t for t in trials if "tuner/trial_id" in t["hyperparameters"]["values"]]
    assert promoted
    for trial in promoted:
        values = trial["hyperparameters"]["values"]
        epochs = [int(row["epoch"]) for row in read_epochs(run / f"trial_{trial['trial_id']}" / "epochs.csv")]
        assert epochs == list(range(values["tuner/initial_epoch"] + 1, values["tuner/epochs"] + 1))
    planned = next(x for x in (tmp_path / "out.txt").read_text().splitlines() if x.startswith("Search: "))
    assert f"hyperband, {len(trials)} trials" in planned
    epochs = sum(len(read_epochs(p)) for p in run.glob("trial_*/epochs.csv"))
    assert f"{epochs} epochs of" in planned


def test_grid_tries_every_combination_once(search, tmp_path):
    space = tmp_path / "grid.py"
    space.write_text(
        "from fer_search.design import *\n"
        "def design(hp):\n"
        "    return Design(network=Residual(stages=((hp.Choice('f', [2, 3]),), (2,))),\n"
        "                  augmentation=Augmentation(cutout=hp.Choice('c', [0, 8]), flip=hp.Boolean('flip')))\n"
        "baselines = {'cut': {'c': 8}}\n"
    )
    assert search(tmp_path, space=space, tuner="grid", max_trials=None, max_epochs=1) == 0
    found = [json.loads(p.read_text())["hyperparameters"]["values"] for p in tmp_path.glob("grid/trial_*/trial.json")]
    assert len(found) == 8
    assert len({tuple(sorted(values.items())) for values in found}) == 8


def test_what_fails_is_recorded_and_the_search_goes_on(search, tmp_path, monkeypatch):
    real = job_module.train

    def failing(trial, data, hooks):
        if trial.number == 2:
            raise MemoryError("no room for the gradients")
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", failing)
    assert search(tmp_path) == 0
    trial = json.loads((tmp_path / "tiny" / "trial_0002" / "trial.json").read_text())
    assert trial["status"] == "FAILED"
    assert trial["message"] == "out of memory (MemoryError: no room for the gradients)"
    assert "1 failed" in (tmp_path / "out.txt").read_text()
    statuses = [json.loads(p.read_text())["status"] for p in sorted(tmp_path.glob("tiny/trial_*/trial.json"))]
    assert statuses == ["COMPLETED", "COMPLETED", "FAILED", "COMPLETED"]


def test_stock_keras_tuner_opens_a_run(search, tmp_path):
    assert search(tmp_path, max_trials=3) == 0
    tuner = keras_tuner.RandomSearch(
        lambda hp: None,
        objective=keras_tuner.Objective("val_accuracy", "max"),
        directory=str(tmp_path),
        project_name="tiny",
    )
    tuner.reload()
    assert len(tuner.oracle.trials) == 3
    best = tuner.get_best_hyperparameters()[0].values
    scores = {t.trial_id: t.score for t in tuner.oracle.trials.values()}
    assert best == tuner.oracle.trials[max(scores, key=scores.get)].hyperparameters.values


def test_a_checkpoint_that_goes_bad_while_the_search_runs_is_computed_again(search, tmp_path, monkeypatch):
    halving = {"tuner": "hyperband", "max_trials": None, "max_epochs": 2, "factor": 2, "baselines": "none"}
    assert search(tmp_path, **halving, name="sound") == 0
    train, damaged = job_module._train, []

    def damage_and_train(job, *arguments):
        if job.ancestors:
            parent = job.ancestors[0]
            checkpoint = checkpoint_path(parent.folder.parent, parent.epochs)
            content = bytearray(checkpoint.read_bytes())
            content[len(content) // 2] ^= 255
            checkpoint.write_bytes(content)
            damaged.append(checkpoint)
        return train(job, *arguments)

    monkeypatch.setattr(job_module, "_train", damage_and_train)
    assert search(tmp_path, **halving, name="damaged") == 0
    assert damaged
    scores = [
        {p.parent.name: read_json(p)["score"] for p in tmp_path.glob(f"{name}/trial_*/trial.json")}
        for name in ("sound", "damaged")
    ]
    assert scores[0] == scores[1]


def test_a_search_that_cannot_state_its_gain_says_why(search, tmp_path):
    def said(name, **options):
        assert search(tmp_path / name, **options) == 0
        return "No gain over the baselines can be given" in (tmp_path / name / "out.txt").read_text()

    halving = {"tuner": "hyperband", "max_epochs": 4, "factor": 2}
    assert said("proposals end early", **halving, max_trials=3)
    assert not said("compared", max_trials=4)
    assert not said("baselines alone", baselines="only", max_trials=None)


def test_the_recommended_design_is_named_and_confirmed_first(search, tmp_path):
    """All accuracies are random numbers, so that the highest one says nothing about its design."""
    guided = {"tuner": "guided", "max_epochs": 4, "factor": 2, "seed": 3}
    assert search(tmp_path, max_trials=14, **guided) == 0
    run, printed = tmp_path / "tiny", (tmp_path / "out.txt").read_text()
    recommended, best = read_json(run / "run.json")["recommended"], load_trials(run)["trial"].iloc[0]
    assert recommended != best
    assert f"Recommended: trial {int(recommended)}" in printed
    assert f"the lead of trial {int(best)} is within the noise" in printed
    assert [chosen.trial for chosen in choose_candidates(run, 2, (), 4, None)] == [recommended, best]
    text = " ".join(verdict(load_analysis(run)).details)
    assert f"The tuner's model of all learning curves recommends trial {int(recommended)}" in text
    assert search(tmp_path, tuner="random", max_trials=1, overwrite=True) == 0
    assert read_json(run / "run.json")["recommended"] is None


def test_a_crash_marker_that_could_not_be_removed_when_its_trial_ended_is_removed_later(search, state, tmp_path):
    assert search(tmp_path, max_trials=2) == 0
    before = state(tmp_path / "tiny")
    write_crash_marker(tmp_path / "tiny" / "trial_0000", [[3, 0]], 1)
    assert search(tmp_path, max_trials=2) == 0
    assert state(tmp_path / "tiny") == before  # the names of all files included
