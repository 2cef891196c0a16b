"""Several trials at the same time: with a fixed window the order in which they end changes nothing."""

import json
import shutil

import keras_tuner as kt
import numpy as np
import pytest

from fer_search.errors import UserError
from fer_search.runfolder.epochs import METRIC_COLUMNS
from fer_search.runfolder.json_files import read_json, write_json
from fer_search.search.proposing.oracles import make_oracle
from fer_search.search.proposing.replay import rebuild_oracle
from fer_search.search.window import Window

TRIALS = {"random": 14, "bayesian": 12, "grid": 14, "hyperband": 100, "guided": 14}


def space():
    hp = kt.HyperParameters()
    hp.Choice("kind", ["a", "b", "c"])
    hp.Float("rate", 1e-4, 1e-1, sampling="log", step=10)
    hp.Int("depth", 1, 5)
    return hp


def rows(trial):
    values = trial.hyperparameters.values
    score = 0.5 + 0.1 * (values["kind"] == "b") - 0.05 * abs(np.log10(values["rate"]) + 2.5) + 0.01 * values["depth"]
    return [dict.fromkeys(METRIC_COLUMNS, float(score)) | {"epoch": 1}]


def search(folder, tuner, ahead, slots, rng, kill=0.0, failures=0.15):
    """Run a search whose trials end in random order; its process is killed now and then. Returns its state."""
    limit = TRIALS[tuner]

    def start():
        oracle = make_oracle(tuner, space(), folder, seed=3, max_trials=limit, max_epochs=4, factor=2)
        oracle.concurrent = ahead != 1
        if (folder / "oracle.json").exists():
            oracle.restore()

        def begin_next():
            return None if len(oracle.trials) >= limit else oracle.propose()

        return oracle, Window(oracle, begin_next, ahead, slots)

    oracle, window = start()
    while (decision := window.decide()).action != "finished":
        if rng.random() < kill and (folder / "oracle.json").exists():
            oracle, window = start()
        elif decision.action == "commit":
            oracle.commit(decision.trial.trial_id)
        elif decision.action == "wait":
            oracle.flush()
            open_trials = [trial for trial in oracle.pending() if trial.trial_id not in oracle.recorded][:slots]
            trial = open_trials[rng.integers(len(open_trials))]
            failed = np.random.default_rng(int(trial.trial_id)).random() < failures
            oracle.record(trial.trial_id, rows(trial), "it broke" if failed else None, failed)
    oracle.flush()
    return state(folder)


def state(folder):
    trials = {path.parent.name: json.loads(path.read_text()) for path in sorted(folder.glob("trial_*/trial.json"))}
    return json.loads((folder / "oracle.json").read_text()), trials


@pytest.mark.parametrize("tuner", list(TRIALS))
def test_neither_order_nor_workers_nor_kills_change_a_search_with_a_fixed_window(tmp_path, tuner):
    expected = search(tmp_path / "one", tuner, 4, 1, np.random.default_rng(0))
    oracle = expected[0]
    assert oracle["start_order"] == oracle["end_order"]
    assert oracle["ongoing_trials"] == {}
    assert len(oracle["end_order"]) == len(expected[1]) > 10
    for seed, slots in enumerate((2, 3, 8), start=1):
        found = search(tmp_path / str(seed), tuner, 4, slots, np.random.default_rng(seed), kill=0.1)
        assert found == expected


def test_a_window_of_one_is_a_sequential_search(tmp_path):
    def sequential(folder):
        oracle = make_oracle("random", space(), folder, seed=3, max_trials=14, max_epochs=4, factor=2)
        while len(oracle.trials) < 14:
            trial = oracle.propose()
            oracle.finish(trial, rows(trial))
        return state(folder)

    expected = sequential(tmp_path / "sequential")
    assert search(tmp_path / "window", "random", 1, 5, np.random.default_rng(0), failures=0) == expected


def test_without_a_window_results_are_committed_as_they_come(tmp_path):
    oracle, trials = search(tmp_path / "any", "random", None, 3, np.random.default_rng(1))
    assert sorted(oracle["end_order"]) == oracle["start_order"] == [f"{k:04d}" for k in range(14)]
    assert oracle["end_order"] != oracle["start_order"]
    assert all(trial["status"] in ("COMPLETED", "FAILED") for trial in trials.values())


def test_a_window_never_holds_more_than_its_size(tmp_path):
    oracle = make_oracle("random", space(), tmp_path, seed=3, max_trials=9, max_epochs=4, factor=2)
    oracle.concurrent = True
    window = Window(oracle, oracle.propose, 3, 8)
    assert [window.decide().action for _ in range(4)] == ["began", "began", "began", "wait"]
    later = oracle.pending()[1]
    oracle.record(later.trial_id, rows(later), None)
    assert window.decide().action == "wait"  # the oldest has not ended
    first = oracle.pending()[0]
    oracle.record(first.trial_id, rows(first), None)
    assert window.decide() == ("commit", first)


def record(folder, tuner):
    """Write the other files that a lost oracle is rebuilt from."""
    names = {"name": tuner, "max_trials": TRIALS[tuner], "max_epochs": 4, "factor": 2}
    (folder / "run.json").write_text(json.dumps({"format": 1, "tuner": names, "seed": 3, "identity": {"--ahead": 3}}))
    for path in folder.glob("trial_*"):
        (path / "design.json").write_text('{"name": null, "design": {}}')


@pytest.mark.parametrize("tuner", ["random", "bayesian", "hyperband"])
def test_a_lost_oracle_is_rebuilt_for_a_parallel_search(tmp_path, tuner):
    folder = tmp_path / "run"
    expected = search(folder, tuner, 3, 2, np.random.default_rng(0))
    record(folder, tuner)
    (folder / "oracle.json").unlink()
    rebuild_oracle(folder)
    oracle = make_oracle(tuner, space(), folder, seed=3, max_trials=TRIALS[tuner], max_epochs=4, factor=2)
    oracle.concurrent = True
    oracle.restore()
    while trial := oracle.ongoing():
        oracle.commit(trial.trial_id)
    oracle.flush()
    assert state(folder)[0]["end_order"] == expected[0]["end_order"]
    assert state(folder)[1] == expected[1]


def test_a_trial_that_the_oracle_would_not_propose_keeps_a_lost_one_from_being_rebuilt(tmp_path):
    folder = tmp_path / "run"
    last = max(search(folder, "hyperband", 3, 2, np.random.default_rng(0))[1])
    extra = f"trial_{int(last[6:]) + 1:04d}"
    shutil.copytree(folder / last, folder / extra)
    write_json(folder / extra / "trial.json", read_json(folder / last / "trial.json") | {"trial_id": extra[6:]})
    record(folder, "hyperband")
    (folder / "oracle.json").unlink()
    with pytest.raises(UserError, match=f"the oracle would not propose {extra.replace('_', ' ')}"):
        rebuild_oracle(folder)
