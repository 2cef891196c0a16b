"""What other commands make of a run after its search."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from fer_search.commands import run_confirm
from fer_search.confirm import run as confirm_module
from fer_search.confirm.candidates import choose_candidates
from fer_search.errors import UserError
from fer_search.export.source import find_network
from fer_search.report import load_trials
from fer_search.report.statistics.verdict import verdict
from fer_search.report.tables.analysis import load_analysis
from fer_search.runfolder.json_files import read_json, write_json
from fer_search.runfolder.lock import hold_lock
from fer_search.runfolder.run_json import load_run
from fer_search.runs.listing import list_runs
from fer_search.runs.show import find_trial, how_to_load
from fer_search.search import run as run_module
from fer_search.search.settings import Settings

GUIDED = {"tuner": "guided", "max_trials": 14, "max_epochs": 4, "factor": 2, "min_steps": 2}


def change(run, **fields):
    info = read_json(run / "run.json")
    write_json(run / "run.json", info | fields)
    return info


def test_the_network_of_a_proposal_is_found(search, tmp_path):
    assert search(tmp_path, max_trials=8) == 0
    best = load_trials(tmp_path / "tiny").iloc[0]
    assert pd.isna(best["name"])
    assert find_network(tmp_path / "tiny").title == f"trial {int(best['trial'])}"


def test_the_name_of_a_resumed_baseline_is_that_of_its_last_trial(search, tmp_path):
    assert search(tmp_path, **GUIDED) == 0
    trials = load_trials(tmp_path / "tiny")
    named = trials[trials["name"] == "plain"]
    resumed = [name for name, group in trials.groupby("name") if len(group) > 1]
    assert resumed
    for name in resumed:
        assert find_trial(trials, name)["trial"] == trials.loc[trials["name"] == name, "trial"].max()
    assert find_trial(trials, str(int(named["trial"].min())))["trial"] == named["trial"].min()
    with pytest.raises(UserError, match=r"no trial 'x'; give a number from 0 to 13, or one of \w+, \w+$"):
        find_trial(trials, "x")
    with pytest.raises(UserError, match=r"no trial 'x'; give a number from 0 to 13$"):
        find_trial(trials.assign(name=pd.NA), "x")


def test_designs_trained_to_the_end_are_confirmed_before_others(search, tmp_path):
    assert search(tmp_path, **GUIDED) == 0
    run = tmp_path / "tiny"
    trials = load_trials(run).set_index("trial")
    chosen = [candidate.trial for candidate in choose_candidates(run, 9, [], 4, None)]
    assert chosen[0] == load_run(run).recommended
    rounds = [int(trials.at[trial, "round"]) for trial in chosen[1:]]
    assert rounds[0] == 2
    assert rounds == sorted(rounds, key=lambda rung: rung < 2)


def test_a_failed_trial_is_not_confirmed(search, tmp_path):
    assert search(tmp_path, max_trials=2) == 0
    run = tmp_path / "tiny"
    trial = read_json(run / "trial_0001" / "trial.json")
    write_json(run / "trial_0001" / "trial.json", trial | {"status": "FAILED", "score": None})
    with pytest.raises(UserError, match="trial 1 failed, so there is nothing to confirm"):
        choose_candidates(run, 1, ["1"], 3, None)
    assert how_to_load(run, find_trial(load_trials(run), "1")) == "it failed, so there is no network"


def test_an_extended_run_records_the_command_that_continues_it(search, tmp_path):
    assert search(tmp_path, max_trials=2, command="fer-search run --max-trials 2") == 0
    assert search(tmp_path, max_trials=3, extend=True, command="fer-search run --max-trials 3 --extend") == 0
    assert json.loads((tmp_path / "tiny" / "run.json").read_text())["command"] == "fer-search run --max-trials 3"


def test_trials_with_fewer_epochs_than_an_extension_gives_do_not_count_for_the_gain(search, tmp_path):
    assert search(tmp_path, max_trials=4, max_epochs=1) == 0
    assert search(tmp_path, max_trials=6, max_epochs=3, extend=True) == 0
    out = (tmp_path / "out.txt").read_text()
    assert "No gain over the baselines can be given: it takes a baseline and a proposal" in out.splitlines()[-1]
    assert "gain" not in json.loads((tmp_path / "tiny" / "run.json").read_text())
    assert "6 trials (the baselines plain, cut first), 10 epochs of 64 images in total" in out


def test_results_validated_on_other_images_are_not_taken(search, tmp_path):
    assert search(tmp_path / "a", max_trials=2) == 0
    with pytest.raises(UserError, match="cannot be compared with this run's: --seed 0 there, 1 here"):
        search(tmp_path / "b", max_trials=2, seed=1, from_run=tmp_path / "a" / "tiny")


def test_a_search_that_patience_ended_goes_on_with_more_of_it(search, tmp_path):
    options = {"max_trials": None, "time_budget": 1e6}
    assert search(tmp_path, search_patience=2, **options) == 0
    before = len(list(tmp_path.glob("tiny/trial_*")))
    with pytest.raises(UserError, match="the search is finished; give a larger --search-patience than 2"):
        search(tmp_path, search_patience=2, extend=True, **options)
    assert search(tmp_path, search_patience=6, extend=True, **options) == 0
    assert len(list(tmp_path.glob("tiny/trial_*"))) > before


def test_what_cannot_be_confirmed_is_said_before_the_search(search, faces, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="--confirm needs --protocol holdout"):
        search(tmp_path, confirm=True, protocol="report")
    untested = dataclasses.replace(faces, splits=np.zeros_like(faces.splits))
    monkeypatch.setattr(run_module, "load_dataset", lambda source, **options: untested)
    with pytest.raises(UserError, match=r"--confirm: toy has no test images; give --test, or leave --confirm out"):
        search(tmp_path, confirm=True)
    assert not (tmp_path / "tiny").exists()


@pytest.mark.parametrize("workers", [None, 3])
def test_the_confirmation_after_a_search_takes_its_workers_and_the_recommended_design(
    search, tmp_path, monkeypatch, workers
):
    assert search(tmp_path, **GUIDED) == 0
    change(tmp_path / "tiny", workers=3, recommended="0007", gain={"proposal": "0005", "baseline": "0007"})
    asked = []
    monkeypatch.setattr(confirm_module, "run_confirm", lambda settings, console: asked.append(settings) or 3)
    settings = Settings(tmp_path / "tiny.py", results_dir=tmp_path, name="tiny", workers=workers)
    assert run_confirm.confirm_gain(settings) == 3
    assert asked[0].trials == ("7", "5")
    assert asked[0].workers.workers == 3


def test_a_confirmed_run_is_not_extended_and_confirmed_again(search, tmp_path):
    assert search(tmp_path, max_trials=2) == 0
    settings = Settings(tmp_path / "tiny.py", results_dir=tmp_path, name="tiny", extend=True, confirm=True)
    run_confirm.check_not_tested(settings)
    (tmp_path / "tiny" / "confirm").mkdir()
    record = {"format": 1, "settings": {"--seeds": 1}, "trained": 9, "looks": 1, "ensembles": []}
    record["candidates"] = [{"trial": "0000", "title": "plain", "epochs": 1, "val_accuracy": 0.5}]
    record["trainings"] = [{"candidate": 0, "seed": 0, "tests": {}}]
    write_json(tmp_path / "tiny" / "confirm" / "confirm.json", record)
    with pytest.raises(UserError, match=r"was confirmed\. Extend it without --confirm"):
        run_confirm.check_not_tested(settings)


def test_a_search_that_ended_without_a_trial_has_its_own_exit_code(search, tmp_path, monkeypatch):
    monkeypatch.setattr(run_module.SearchLoop, "run", lambda loop: "out_of_time")
    assert search(tmp_path, max_trials=2) == 3


def test_a_killed_run_is_not_said_to_be_running(search, tmp_path):
    assert search(tmp_path, max_trials=3) == 0
    run = tmp_path / "tiny"
    change(run, state="running")
    details = " ".join(verdict(load_analysis(run)).details)
    assert load_run(run).current_state == "killed"
    assert "The search was killed, or the power failed" in details
    with hold_lock(run):
        assert load_run(run).current_state == "running"


def test_a_run_without_its_oracle_is_listed(search, tmp_path):
    assert search(tmp_path, max_trials=2) == 0
    (tmp_path / "tiny" / "oracle.json").unlink()
    assert len(list_runs(tmp_path)) == 1


def test_the_console_of_a_quiet_confirmation_says_nothing(search, tmp_path, monkeypatch):
    assert search(tmp_path, max_trials=2) == 0
    consoles = []
    monkeypatch.setattr(confirm_module, "run_confirm", lambda settings, console: consoles.append(console) or 3)
    run_confirm.confirm_gain(Settings(tmp_path / "tiny.py", results_dir=tmp_path, name="tiny"), quiet=True)
    assert isinstance(consoles[0], Console)
    assert consoles[0].quiet


def test_a_confirmation_is_not_looked_up_through_a_link(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "confirm.json").write_text("private")
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "confirm").symlink_to(outside)
    settings = Settings(tmp_path / "tiny.py", results_dir=tmp_path, extend=True, confirm=True)
    with pytest.raises(UserError, match="confirm is a symbolic link"):
        run_confirm.check_not_tested(settings)
