"""The run folder: reading run.json and clearing the files of a run."""

import re

import pytest

from fer_search.errors import UserError
from fer_search.runfolder.folder import RunFolder


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "new"}', '{"format": 99}'])
def test_an_unreadable_run_json_is_reported(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=r"run\.json") as caught:
        RunFolder(tmp_path).read_run_json()
    assert caught.value.exit_code == 4


def test_clearing_removes_only_files_written_by_the_run(tmp_path):
    for name in ("run.json", "oracle.json", "notes.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "trial_0000").mkdir()
    RunFolder(tmp_path).clear()
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_notes_are_kept_but_do_not_stick_to_the_trials_of_another_run(tmp_path):
    (tmp_path / "notes.jsonl").write_text("x")
    RunFolder(tmp_path).clear()
    (kept,) = tmp_path.iterdir()
    assert re.fullmatch(r"notes-\d{8}T\d{6}\.jsonl", kept.name)
    assert kept.read_text() == "x"
