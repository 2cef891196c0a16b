"""Notes and tags on trials."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from fer_search.commands.note import note
from fer_search.errors import UserError
from fer_search.report.tables.notes import load_notes
from fer_search.runfolder.notes import NOTES_FILE, append_note, read_notes

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

import runs


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return runs.write_random(tmp_path / "run", trials=4)


def test_notes_are_stored_and_shown_in_order(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note(run, "figure_1", "fails on dark faces", ["look"])
    note(run, "0", "better at night", ["look", "odd"])
    assert capsys.readouterr().out.splitlines() == ["noted: trial 0 (figure_1)"] * 2
    assert load_notes(run)["0000"] == (("fails on dark faces", "better at night"), ("look", "odd"))
    from fer_search import report

    page = report.write_report(run, plotly="cdn").read_text()
    assert "fails on dark faces" in page
    row = next(line for line in report.to_csv(run).splitlines() if ",0000," in f",{line}")
    assert '"look, odd"' in row


def test_an_empty_note_or_an_unknown_trial_is_refused(run: Path) -> None:
    with pytest.raises(UserError, match="--tag NAME"):
        note(run, "0")
    with pytest.raises(UserError, match="there is no trial"):
        note(run, "99", "text")
    assert not (run / NOTES_FILE).exists()


def test_a_note_that_is_no_utf_8_is_refused(run: Path) -> None:
    for text, tags in (("\udcff bad", []), ("", ["\udcff"])):
        with pytest.raises(UserError, match="not valid UTF-8"):
            note(run, "0", text, tags)
    assert not (run / NOTES_FILE).exists()


def test_a_truncated_line_is_ignored_and_an_invalid_one_reported(run: Path) -> None:
    append_note(run, "0000", "first")
    file = run / NOTES_FILE
    file.write_text(file.read_text() + '{"trial": "0001", "te')
    assert [trial_note.text for trial_note in read_notes(run)] == ["first"]
    append_note(run, "0001", "second")
    assert [trial_note.text for trial_note in read_notes(run)] == ["first", "second"]
    file.write_text(json.dumps({"trial": "0001"}) + "\n")
    with pytest.raises(UserError, match=r"notes\.jsonl, line 1"):
        read_notes(run)


def test_escape_sequences_in_the_name_of_a_trial_are_not_printed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = run / "trial_0000" / "design.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"name": "\x1b]0;owned\x07"}))
    note(run, "0", "text")
    assert capsys.readouterr().out == "noted: trial 0 (\\x1b]0;owned\\x07)\n"
