"""The list of runs."""

import dataclasses
import io
import os

import pandas as pd
import runs
from rich.console import Console

from fer_search.runs.listing import list_runs, runs_table
from fer_search.runs.table import trials_table


def test_the_newest_run_is_listed_first(tmp_path):
    """Runs are sorted by modification time, not by name."""
    for mtime, name in ((2000, "a"), (3000, "b"), (1000, "c")):
        runs.write_random(tmp_path / name, trials=2)
        os.utime(tmp_path / name / "oracle.json", (mtime, mtime))
    (tmp_path / "c" / "oracle.json").write_text("{")
    os.utime(tmp_path / "c" / "oracle.json", (1000, 1000))
    listed = list_runs(tmp_path)
    names = [str(run[0]) if isinstance(run, tuple) else run.folder for run in listed]
    assert [name.rpartition("/")[2] for name in names] == ["b", "a", "c"]
    assert isinstance(listed[2], tuple)
    columns = {str(column.header): list(column.cells) for column in runs_table(listed).columns}
    assert "fer-search doctor" in str(columns["state"][2])
    assert (columns["data"][0], columns["width"][0], columns["images"][0]) == ("FER2013", "0.125", "2,000")
    assert columns["date"][0] == "2026-03-01"


def printed(table, width):
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    return out.getvalue()


def test_a_terminal_of_80_columns_breaks_no_word(tmp_path):
    runs.write_random(tmp_path / "a_search_of_report", trials=2)
    listed = list_runs(tmp_path)
    names = [run.folder for run in listed]
    changes = {"data": "FER2013 (class folders)", "state": "interrupted"}
    listed = [dataclasses.replace(run, folder=f"results/{run.folder.rpartition('/')[2]}", **changes) for run in listed]
    assert names
    text = printed(runs_table(listed, 80), 80)
    assert f"results/{names[0].rpartition('/')[2]}" in text
    assert all(word in text.split() for word in ("2026-03-01", "interrupted", "FER2013", "folders)"))
    assert "…" not in text


def test_many_choices_are_left_out_of_a_narrow_table(tmp_path):
    row = {"status": "completed", "name": pd.NA, "accuracy": 0.5, "low": 0.4, "high": 0.6, "epochs": 3}
    row |= {"parameters": 1000, "message": pd.NA}
    choices = {f"choice.a_choice_with_a_long_name_{k}": 1 for k in range(12)}
    table = pd.DataFrame([row | {"trial": f"000{k}"} | dict.fromkeys(choices, k) for k in range(2)])
    narrow, wide = printed(trials_table(table, 80), 80), printed(trials_table(table, 160), 160)
    assert "long name" not in narrow
    assert "A wider terminal shows the choices" in narrow
    assert "a choice with a long name 11 1" in " ".join(wide.split())
