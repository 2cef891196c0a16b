"""Searches of designs whose first epochs are at low resolution: what is recorded of it, and used afterwards."""

import json

import pytest

from fer_search.runfolder.epochs import read_epochs
from fer_search.runfolder.json_files import read_json, write_json
from fer_search.search.executors import here
from fer_search.search.executors import job as job_module
from fer_search.search.scheduling.clock import Clock

SPACE = """
from fer_search.design import Design, Optimisation, Plain
def design(hp):
    optimisation = Optimisation(batch_size=32, low_resolution=hp.Choice("low_resolution", [32, 40]))
    return Design(network=Plain(stages=((hp.Choice("filters", [4, 2, 6]),),)), optimisation=optimisation)
baselines = {"default": {}}
"""


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "tiny.py"
    path.write_text(SPACE)
    return path


def test_the_best_network_predicts_at_the_resolution_of_its_best_epoch(search, space, tmp_path, monkeypatch):
    """Of four epochs the first two are at low resolution, of three the first one."""
    stored = {}
    monkeypatch.setattr(
        here, "store_predictions", lambda run, trial, design, resolution, *rest: stored.update({trial: resolution})
    )
    for epochs, low in ((4, 2), (3, 1)):
        stored.clear()
        folder = tmp_path / str(epochs)
        assert search(folder, space, max_trials=6, max_epochs=epochs) == 0
        assert len(stored) > 1
        for trial, resolution in stored.items():
            record = read_json(folder / "tiny" / f"trial_{trial}" / "design.json")
            best = read_json(folder / "tiny" / f"trial_{trial}" / "trial.json")["best_step"]
            assert record["low_resolution_epochs"] == low
            assert resolution == (record["design"]["optimisation"]["low_resolution"] if best <= low else 0)


def test_a_run_of_an_older_version_goes_on_as_it_began(search, space, tmp_path, monkeypatch):
    seen, real = [], job_module.train

    def watching(trial, data, hooks):
        seen.append((trial.validate_low, trial.mirror_augmented))
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", watching)
    assert search(tmp_path, space, max_trials=1) == 0
    info = read_json(tmp_path / "tiny" / "run.json")
    del info["settings"]["validate_low"], info["settings"]["mirror_augmented"]
    write_json(tmp_path / "tiny" / "run.json", info)
    assert search(tmp_path, space, max_trials=2, extend=True) == 0
    assert seen == [(True, True), (False, False)]
    records = [json.loads((tmp_path / "tiny" / f"trial_000{k}" / "design.json").read_text()) for k in (0, 1)]
    assert ["low_resolution_epochs" in record for record in records] == [True, False]


def test_the_clock_knows_the_epochs_at_low_resolution(search, space, tmp_path, monkeypatch):
    """Also those of earlier starts: they are taken for longer than they were."""
    begun, real = [], Clock.begin_trial

    def begin_trial(self, number, done, epochs, scale, lengths):
        begun.append((list(self.trials), number, lengths))
        real(self, number, done, epochs, scale, lengths)

    monkeypatch.setattr(Clock, "begin_trial", begin_trial)
    assert search(tmp_path, space, max_trials=1, max_epochs=4) == 0
    assert search(tmp_path, space, max_trials=2, max_epochs=4, extend=True) == 0
    (_, _, first), (trials, number, lengths) = begun
    assert first[0] == first[1] < 1 < first[2] == first[3]
    assert (number, len(trials), len(lengths)) == (1, 1, 4)
    rows = read_epochs(tmp_path / "tiny" / "trial_0000" / "epochs.csv")
    expected = [row["seconds"] / length for row, length in zip(rows, first, strict=True)]
    assert trials[0] == pytest.approx(expected)


def test_a_resumed_design_has_the_lengths_of_its_later_epochs(search, space, tmp_path, monkeypatch):
    begun, real = [], Clock.begin_trial

    def begin_trial(self, number, done, epochs, scale, lengths):
        begun.append((epochs, lengths))
        real(self, number, done, epochs, scale, lengths)

    monkeypatch.setattr(Clock, "begin_trial", begin_trial)
    assert search(tmp_path, space, tuner="guided", max_trials=6, max_epochs=4) == 0
    resumed = [lengths for epochs, lengths in begun if epochs < 4 and len(lengths) < 4]
    assert resumed
    assert all(len(lengths) == 3 and lengths[0] < 1 < lengths[1] for lengths in resumed)  # after one epoch of two
