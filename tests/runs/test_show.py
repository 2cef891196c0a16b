"""One trial as text."""

import json
import sys
from pathlib import Path

import pandas as pd
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
import runs

from fer_search.report import load_trials
from fer_search.runs.show import describe_trial


def test_a_trial_that_failed_before_its_first_epoch_shows_what_is_known(tmp_path):
    run = runs.write_failed(tmp_path / "run")
    file = run / "trial_0000" / "design.json"
    design = {key: value for key, value in json.loads(file.read_text()).items() if key not in ("parameters", "flops")}
    file.write_text(json.dumps(design))  # it could not be built
    (text,) = describe_trial(run, "0")
    assert text.startswith("Trial 0: failed")
    assert "the loss was no number" in text
    assert "GFLOP" not in text


def test_a_trial_with_epochs_shows_them(tmp_path):
    run = runs.write_random(tmp_path / "run", trials=3)
    done = load_trials(run).iloc[0]
    text, table = describe_trial(run, done["trial"])
    assert isinstance(table, Table)
    assert table.row_count == done["epochs"]
    assert ("GFLOP an image" in text) == (not pd.isna(done["parameters"]))
