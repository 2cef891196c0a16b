"""The list of runs."""

import os

import runs

from fer_search.runs.listing import list_runs, runs_table


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
