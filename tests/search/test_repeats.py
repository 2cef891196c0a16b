"""--repeats: the space's baselines, each trained several times."""

import json

import pytest

from fer_search.errors import UserError
from fer_search.report import load_trials
from fer_search.runfolder.epochs import read_epochs
from fer_search.runfolder.json_files import read_json, write_json
from fer_search.runs.show import find_trial


def names(run):
    records = sorted(run.glob("trial_*/design.json"))
    return [json.loads(record.read_text())["name"] for record in records]


def test_all_baselines_are_trained_once_before_any_is_again_and_never_alike(search, tmp_path):
    assert search(tmp_path, baselines="only", max_trials=None, repeats=3) == 0
    run = tmp_path / "tiny"
    assert names(run) == ["plain", "cut"] * 3
    curves = [tuple(row["val_accuracy"] for row in read_epochs(table)) for table in run.glob("trial_*/epochs.csv")]
    assert len(set(curves)) == 6
    with pytest.raises(UserError, match=r"plain was trained 3 times; .*: 0, 2, 4"):
        find_trial(load_trials(run), "plain")


def test_the_tuner_comes_after_all_repeats(search, tmp_path):
    assert search(tmp_path, repeats=2, max_trials=6) == 0
    assert names(tmp_path / "tiny") == ["plain", "cut", "plain", "cut", None, None]


def test_a_run_from_before_the_option_goes_on(search, tmp_path):
    assert search(tmp_path, max_trials=3) == 0
    file = tmp_path / "tiny" / "run.json"
    info = read_json(file)
    del info["identity"]["--repeats"]
    write_json(file, info)
    assert search(tmp_path, max_trials=4, extend=True) == 0
    with pytest.raises(UserError, match="--repeats was 1, is now 2"):
        search(tmp_path, max_trials=4, repeats=2)
