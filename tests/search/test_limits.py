"""Limits of a search: extended, failing too often, out of memory, out of time, short of disk space."""

import json
import time
from types import SimpleNamespace

import pytest

from fer_search.errors import UserError
from fer_search.runfolder.epochs import read_epochs
from fer_search.runfolder.json_files import read_json
from fer_search.search import heartbeat, loop, opening
from fer_search.search import run as run_module
from fer_search.search import state as search_state
from fer_search.search.executors import job as job_module
from fer_search.search.trials import signals
from fer_search.search.trials.checkpoint_retention import used_bytes

TUNERS = ("random", "hyperband", "bayesian", "grid")


def options(tuner):
    if tuner == "hyperband":
        return {"tuner": tuner, "max_trials": None, "max_epochs": 4, "factor": 2, "baselines": "none"}
    return {"tuner": tuner, "max_trials": 6, "max_epochs": 3}


def test_extend_goes_on_with_more_trials(search, state, tmp_path):
    assert search(tmp_path / "a", max_trials=3) == 0
    with pytest.raises(UserError, match=r"--max-trials was 3, is now 6.*--extend") as refused:
        search(tmp_path / "a", max_trials=6)
    assert refused.value.exit_code == 5
    before = state(tmp_path / "a" / "tiny")[0]
    assert search(tmp_path / "a", max_trials=6, extend=True) == 0
    after = state(tmp_path / "a" / "tiny")[0]
    assert {name: after[name][:3] for name in before} == {name: before[name][:3] for name in before}
    assert len(after) == 6
    assert search(tmp_path / "b", max_trials=6) == 0
    assert state(tmp_path / "b" / "tiny")[0] == after
    assert search(tmp_path / "a", max_trials=6) == 0
    with pytest.raises(UserError, match="--max-trials was 6, is now 4"):
        search(tmp_path / "a", max_trials=4, extend=True)
    with pytest.raises(UserError, match="--seed"):
        search(tmp_path / "a", max_trials=6, seed=1, extend=True)


def test_extend_by_epochs_is_for_new_trials_and_recorded(search, tmp_path):
    assert search(tmp_path, max_trials=3, max_epochs=2) == 0
    assert search(tmp_path, max_trials=4, max_epochs=5, extend=True) == 0
    assert [len(read_epochs(p)) for p in sorted(tmp_path.glob("tiny/trial_*/epochs.csv"))] == [2, 2, 2, 5]
    info = json.loads((tmp_path / "tiny" / "run.json").read_text())
    assert info["extended"][0]["to"] == {"--max-trials": 4, "--max-epochs": 5}
    assert search(tmp_path / "h", tuner="hyperband", max_trials=None, max_epochs=2, factor=2) == 0
    with pytest.raises(UserError, match="--max-epochs of a search with --tuner hyperband cannot be changed"):
        search(tmp_path / "h", tuner="hyperband", max_trials=None, max_epochs=4, factor=2, extend=True)


def test_too_many_failures_in_a_row_stop_the_search(search, tmp_path, monkeypatch):
    real = job_module.train

    def failing(trial, data, hooks):
        if trial.number >= 2:
            raise RuntimeError("layer explodes")
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", failing)
    assert search(tmp_path, max_trials=9, max_failures=3) == 3
    out = (tmp_path / "out.txt").read_text()
    assert "the last 3 in a row (RuntimeError: layer explodes). Raise --max-failures to continue." in out
    assert len(list(tmp_path.glob("tiny/trial_*"))) == 5
    assert search(tmp_path, max_trials=9, max_failures=5) == 3
    assert len(list(tmp_path.glob("tiny/trial_*"))) == 7


@pytest.mark.parametrize("tuner", ["random", "hyperband"])
def test_out_of_memory_is_tried_once_more_in_micro_batches(search, tmp_path, monkeypatch, tuner):
    real, tries = job_module.train, []

    def hungry(trial, data, hooks):
        tries.append((trial.number, trial.micro_batches))
        if trial.number < 2 and trial.micro_batches == 1:
            raise MemoryError("no room for the gradients")
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", hungry)
    assert search(tmp_path, **options(tuner)) == 0
    trials = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("tiny/trial_*/trial.json"))]
    assert [trial["status"] for trial in trials] == ["COMPLETED"] * len(trials)
    small = {int(trial["trial_id"]) for trial in trials if trial["message"]}
    assert all("out of memory, so in 4 micro-batches a step" in trials[number]["message"] for number in small)
    family = [trial["hyperparameters"]["values"].get("tuner/trial_id", trial["trial_id"]) for trial in trials]
    assert {0, 1} <= small
    assert all(number in small for number, parent in enumerate(family) if int(parent) in small)  # children know
    assert [parts for number, parts in tries if number == 0] == [1, 4]


def test_too_large_networks_are_not_trained(search, tmp_path):
    assert search(tmp_path, max_params=10) == 3
    trial = json.loads((tmp_path / "tiny" / "trial_0000" / "trial.json").read_text())
    assert trial["status"] == "FAILED"
    assert "more than --max-params 10" in trial["message"]
    assert not (tmp_path / "tiny" / "trial_0000" / "epochs.csv").exists()


def test_time_is_counted_over_all_starts(search, tmp_path, monkeypatch):
    """A trial takes 15 s of the test's own clock; 50 s end the search in the fourth, and so does another start."""
    now, real = [100.0], job_module.train
    clock = SimpleNamespace(**vars(time) | {"monotonic": lambda: now[0]})
    for module in (opening, run_module, signals, heartbeat, search_state):
        monkeypatch.setattr(module, "time", clock)

    def timed(trial, data, hooks):
        now[0] += 15
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", timed)
    for _ in range(2):
        assert search(tmp_path, max_trials=20, time_budget=50) == 0
        out = (tmp_path / "out.txt").read_text()
        assert "Time budget used up: " in out
        assert json.loads((tmp_path / "tiny" / "run.json").read_text())["state"] == "out_of_time"
        assert len(list(tmp_path.glob("tiny/trial_*"))) == 4
    assert search(tmp_path, max_trials=20, time_budget=6000, extend=True) == 0
    assert len(list(tmp_path.glob("tiny/trial_*"))) == 20


@pytest.mark.parametrize("tuner", ["guided", "random", "bayesian"])
def test_only_the_time_budget_ends_a_search_without_a_trial_limit(search, tmp_path, monkeypatch, tuner):
    """A trial takes 1 s of the test's own clock, so that there are more than the default number of trials."""
    now, real = [100.0], job_module.train
    clock = SimpleNamespace(**vars(time) | {"monotonic": lambda: now[0]})
    for module in (opening, run_module, signals, heartbeat, search_state):
        monkeypatch.setattr(module, "time", clock)

    def timed(trial, data, hooks):
        now[0] += 1
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", timed)
    assert search(tmp_path, tuner=tuner, max_trials=None, time_budget=59.5) == 0
    out = (tmp_path / "out.txt").read_text()
    assert "as many trials as 59.5 s allow, each of up to 3 epochs of 64 images." in out
    assert "\ntrial 55: " in out
    assert "Time budget used up: 59 trials done. Add --extend with a longer --time-budget to continue." in out
    info = json.loads((tmp_path / "tiny" / "run.json").read_text())
    assert info["tuner"]["trials"] is None
    assert info["identity"]["--max-trials"] is None


@pytest.mark.parametrize(("grace", "statuses"), [(0.05, ["RUNNING"]), (0.2, ["COMPLETED"])])
def test_a_trial_that_can_end_within_the_grace_period_is_finished(search, tmp_path, monkeypatch, grace, statuses):
    """An epoch takes 10 s of the test's own clock, so that the first trial ends at 30 s; the budget is 28 s."""
    now, real = [100.0], job_module.train
    clock = SimpleNamespace(**vars(time) | {"monotonic": lambda: now[0]})
    for module in (opening, run_module, signals, heartbeat, search_state):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(run_module, "GRACE", grace)

    def timed(trial, data, hooks):
        show = hooks.on_progress

        def progress(at):
            now[0] += 10
            show(at)

        hooks.on_progress = progress
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", timed)
    assert search(tmp_path, max_trials=20, max_epochs=3, time_budget=28) == (0 if "COMPLETED" in statuses else 3)
    trials = [read_json(path) for path in sorted(tmp_path.glob("tiny/trial_*/trial.json"))]
    assert [trial["status"] for trial in trials] == statuses
    assert json.loads((tmp_path / "tiny" / "run.json").read_text())["state"] == "out_of_time"


def test_a_small_disk_changes_nothing_but_what_is_kept(search, state, tmp_path, monkeypatch):
    """Hyperband's parents whose checkpoints made room are trained again, with the same result."""
    given = {"tuner": "hyperband", "max_trials": None, "max_epochs": 8, "factor": 2, "baselines": "none"}
    assert search(tmp_path / "large", **given, max_disk=None) == 0
    monkeypatch.setattr(loop, "max_trial_bytes", lambda design, parameters: 0)
    most, real = [0], job_module.train

    def watching(trial, data, hooks):
        most[0] = max(most[0], used_bytes(tmp_path / "small" / "tiny"))
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", watching)
    assert search(tmp_path / "small", **given, max_disk=2500) == 0
    assert most[0] <= 5 * 1008  # two, and what a parent that is trained again needs (see fake_train)
    large, small = (state(tmp_path / name / "tiny")[0] for name in ("large", "small"))
    assert {name: trial[:3] for name, trial in small.items()} == {name: trial[:3] for name, trial in large.items()}
    assert not list(tmp_path.glob("small/tiny/trial_*/again"))


def test_disk_use_has_a_bound(search, tmp_path, monkeypatch):
    """While Hyperband runs, no more checkpoints are kept than may be promoted, and the best weights."""
    most, real = [0], job_module.train

    def watching(trial, data, hooks):
        most[0] = max(most[0], len(list((tmp_path / "tiny").glob("trial_*/epoch_*.h5"))))
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", watching)
    assert (
        search(tmp_path, tuner="hyperband", max_trials=None, max_epochs=8, factor=2, baselines="none", max_disk=None)
        == 0
    )
    assert most[0] <= 8 + 1  # the second rung of the largest bracket has 8 trials
    assert not list(tmp_path.glob("tiny/trial_*/epoch_*.h5"))
