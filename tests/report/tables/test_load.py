"""Loading valid and broken run folders as tables."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import runs

from fer_search import report
from fer_search.errors import UserError
from fer_search.report.tables.curves import chain
from fer_search.report.tables.trials import CHOICE, COLUMNS, TYPES


def test_columns_are_documented_and_typed(tmp_path: Path) -> None:
    table = report.load_trials(runs.write_random(tmp_path / "run"))
    documented = set(re.findall(r"``([a-z_0-9]+)``", report.load_trials.__doc__ or ""))
    assert set(COLUMNS) <= documented
    assert list(table.columns[: len(COLUMNS)]) == list(COLUMNS)
    assert {name: str(table[name].dtype) for name in COLUMNS} == TYPES
    assert {str(table[f"{CHOICE}{c}"].dtype) for c in ("downsample", "flip", "blocks", "rate")} == {
        *("string", "boolean", "Int64", "Float64")
    }


def test_trials_are_sorted_best_first_and_failed_last(tmp_path: Path) -> None:
    table = report.load_trials(runs.write_random(tmp_path / "run"))
    done = table[table["status"] == "completed"]
    assert done["accuracy"].is_monotonic_decreasing
    assert done.index[-1] < table[table["status"] == "failed"].index[0]
    assert table["accuracy"][table["status"] == "failed"].isna().all()
    assert bool(table["indistinguishable_from_best"].iloc[0])
    assert (done["low"] < done["accuracy"]).all()


def test_a_trial_that_failed_before_its_first_epoch_has_no_epochs(tmp_path: Path) -> None:
    run = runs.write_failed(tmp_path / "run", trials=1)
    file = run / "trial_0000" / "trial.json"
    content = json.loads(file.read_text())
    content["hyperparameters"]["values"]["tuner/epochs"] = 9  # what the tuner planned
    file.write_text(json.dumps(content))
    assert pd.isna(report.load_trials(run)["epochs"].item())


def test_inactive_choices_are_missing(tmp_path: Path) -> None:
    table = report.load_trials(runs.write_random(tmp_path / "run"))
    strided = table[f"{CHOICE}downsample"] == "strided"
    assert (table[f"{CHOICE}pool_size"].isna() == strided).all()


def test_hyperband_curves_start_at_epoch_one(tmp_path: Path) -> None:
    run = runs.write_hyperband(tmp_path / "run")
    curves, table = report.load_epochs(run), report.load_trials(run)
    longest = curves[curves["trial"] == "0012"]
    assert longest["epoch"].tolist() == list(range(1, 10))
    assert longest["inherited"].tolist() == [True] * 3 + [False] * 6
    assert table.loc[table["trial"] == "0012", "epochs"].item() == 9
    assert table["went_on_as"].notna().sum() == 4
    assert table["parent"].notna().sum() == 4
    assert curves[~curves["inherited"]].groupby("trial")["epoch"].count().sum() == 9 + 3 * 2 + 6


def test_a_truncated_last_line_is_ignored(tmp_path: Path) -> None:
    run = runs.write_random(tmp_path / "run")
    file = run / "trial_0000" / "epochs.csv"
    file.write_text(file.read_text() + "10,0.5,0.6")
    assert (report.load_epochs(run)["trial"] == "0000").sum() == 9


def test_a_running_trial_has_its_best_accuracy_so_far(tmp_path: Path) -> None:
    run = runs.write_random(tmp_path / "run", trials=3)
    file = run / "trial_0001" / "trial.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"status": "RUNNING", "score": None, "metrics": {}}))
    row = report.load_trials(run).set_index("trial").loc["0001"]
    assert row["status"] == "running"
    assert 0.5 < row["accuracy"] < 0.7
    assert not row["indistinguishable_from_best"]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("run.json", "{"),
        ("run.json", "[]"),
        ("run.json", '{"format": 99}'),
        ("run.json", '{"data": 3}'),
        ("run.json", '{"references": {"a": "b"}}'),
        ("oracle.json", ""),
        ("oracle.json", '{"hyperparameters": {"space": [{}]}}'),
        ("trial_0000/trial.json", ""),
        ("trial_0000/trial.json", "{}"),
        ("trial_0000/design.json", "{"),
        ("trial_0000/epochs.csv", "epoch,loss\n1,abc\n"),
        ("trial_0000/epochs.csv", "loss\n1\n"),
    ],
)
def test_broken_files_are_reported(tmp_path: Path, file: str, content: str) -> None:
    run = runs.write_random(tmp_path / "run", trials=3)
    (run / file).write_text(content)
    with pytest.raises(UserError, match=re.escape(file)) as caught:
        report.write_report(run)
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)


def test_a_binary_epochs_file_is_reported(tmp_path: Path) -> None:
    run = runs.write_random(tmp_path / "run", trials=3)
    (run / "trial_0000" / "epochs.csv").write_bytes(b"epoch,loss\n\xff\xfe\n")
    with pytest.raises(UserError, match=r"trial_0000/epochs\.csv"):
        report.load_epochs(run)


def test_missing_folders_and_runs_are_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such run folder"):
        report.load_trials(tmp_path / "none")
    with pytest.raises(UserError, match=r"neither run\.json nor oracle\.json"):
        report.load_trials(tmp_path)
    with pytest.raises(UserError, match="no run in"):
        report.newest_run(tmp_path)


def test_newest_run_is_found_by_modification_time(tmp_path: Path) -> None:
    import os

    for mtime, name in enumerate(("old", "new")):
        runs.write_random(tmp_path / name, trials=1)
        for file in ("run.json", "oracle.json"):
            os.utime(tmp_path / name / file, (mtime, mtime))
    assert report.newest_run(tmp_path).name == "new"


def test_stock_keras_tuner_project_is_loaded(tmp_path: Path) -> None:
    run = runs.write_stock(tmp_path / "stock")
    info, table = report.load_run(run), report.load_trials(run)
    assert info.stock
    assert info.name == "stock"
    assert table["accuracy"].tolist() == pytest.approx([0.61, 0.55, 0.5])
    assert table["best_epoch"].tolist() == [3, 3, 3]
    assert table["low"].isna().all()


def test_stock_project_that_minimises(tmp_path: Path) -> None:
    run = runs.write_stock(tmp_path / "stock", metric="val_loss", direction="min")
    table = report.load_trials(run)
    assert table["score"].tolist() == pytest.approx([0.5, 0.55, 0.61])
    assert table["accuracy"].isna().all()


@pytest.mark.slow
def test_project_written_by_keras_tuner_is_loaded(tmp_path: Path) -> None:
    import keras_tuner as kt

    class Tuner(kt.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):  # type: ignore[no-untyped-def]
            hp = trial.hyperparameters
            if hp.Choice("kind", ["plain", "<b>bold</b>"]) == "plain":
                return {"val_accuracy": 0.5 + hp.Float("rate", 1e-3, 1e-1, sampling="log")}
            return {
                "val_accuracy": 0.4 + 0.01 * hp.Int("depth", 1, 3, parent_name="kind", parent_values=["<b>bold</b>"])
            }

    objective = kt.Objective("val_accuracy", "max")
    common = {"max_trials": 6, "directory": tmp_path, "project_name": "kt", "seed": 1}
    tuner = Tuner(hypermodel=lambda hp: None, objective=objective, **common)
    tuner.search()
    table = report.load_trials(tmp_path / "kt")
    assert len(table) == 6
    assert table["accuracy"].is_monotonic_decreasing
    assert "&lt;b&gt;bold" in report.write_report(tmp_path / "kt").read_text()


def test_epochs_table_is_typed_and_unique(tmp_path: Path) -> None:
    curves = report.load_epochs(runs.write_random(tmp_path / "run"))
    assert curves[["trial", "epoch"]].duplicated().sum() == 0
    assert pd.api.types.is_integer_dtype(curves["epoch"])
    assert curves["inherited"].dtype == bool
    assert np.isfinite(curves["recall_disgust"]).all()


def test_a_promoted_trial_inherits_only_earlier_epochs() -> None:
    """The parent may have trained further; only its epochs before the trial's first epoch are inherited, in order."""
    parent = pd.DataFrame({"trial": "0000", "epoch": [1, 2, 3, 4], "loss": [1.0, 2.0, 3.0, 4.0]})
    child = pd.DataFrame({"trial": "0001", "epoch": [3], "loss": [9.0]})
    curves = chain(pd.concat([parent, child], ignore_index=True), {"0000": None, "0001": "0000"})
    chained = curves[curves["trial"] == "0001"]
    assert chained[["epoch", "loss", "inherited"]].to_numpy().tolist() == [
        [1, 1.0, True],
        [2, 2.0, True],
        [3, 9.0, False],
    ]
