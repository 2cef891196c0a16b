"""Nothing outside a run folder is read or modified: ids are plain names; links, FIFOs and devices are refused."""

import json
import os
import shutil

import pytest

from fer_search.errors import UserError
from fer_search.report import load_trials, to_markdown
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.guard import is_trial_id, unsafe_entries
from fer_search.runfolder.json_files import read_json, with_checksum
from fer_search.runfolder.notes import append_note
from fer_search.runs.doctor import find_problems, repair


@pytest.fixture
def run(search, tmp_path):
    assert search(tmp_path / "results") == 0
    return tmp_path / "results" / "tiny"


@pytest.fixture
def outside(tmp_path):
    """A folder of unrelated files outside the run folder."""
    folder = tmp_path / "outside"
    folder.mkdir()
    for name in ("epochs.csv", "mine.h5", "trial.json", "design.json", "thesis.txt", ".part-thesis.txt"):
        (folder / name).write_text(f"precious {name}\n1,2,3")
    return folder


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_trial_ids_are_plain_names():
    assert all(map(is_trial_id, ("0", "0007", "a3f_9-b", "x" * 64)))
    assert not any(map(is_trial_id, ("", "..", "../x", "a/b", "a\\b", ".hidden", "a b", "a\n", "x" * 65, 7, None)))


@pytest.mark.parametrize("place", ["start_order", "end_order", "ongoing_trials"])
def test_an_id_with_path_traversal_is_refused_and_changes_nothing(run, outside, search, place):
    state = read_json(run / "oracle.json")
    bad = "x/../../../outside"
    if place == "ongoing_trials":
        state[place]["tuner0"] = bad
    else:
        state[place].append(bad)
        state["start_order"] = sorted({*state["start_order"], bad})
    (run / "oracle.json").write_text(with_checksum(state))
    before = content(outside)
    repair(run, find_problems(run))
    (run / "oracle.json").write_text(with_checksum(state))
    for look in (load_trials, to_markdown, lambda run: search(run.parent)):
        with pytest.raises(UserError, match="trial id") as refused:
            look(run)
        assert refused.value.exit_code == 4
    assert content(outside) == before


LINKS = [
    "trial_0001",
    "trial_0001/epochs.csv",
    "trial_0001/trial.json",
    "trial_0001/design.json",
    "trial_0001/.part-x",
    ".part-thesis.txt",
    ".lock",
    "oracle.json",
    "run.json",
    "live.json",
    "predictions.npz",
    "confirm",
    "tensorboard",
]


@pytest.mark.parametrize("name", LINKS)
def test_a_symlink_is_reported_and_its_target_is_not_modified(run, outside, search, name):
    path = run / name
    target = outside if name in ("trial_0001", "confirm", "tensorboard") else outside / "thesis.txt"
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(target)
    before = content(outside)
    problems = find_problems(run)
    assert [str(path) in problem.text for problem in problems] == [True]
    assert all(line.startswith("not repaired") for line in repair(run, problems))
    for use in (load_trials, lambda run: search(run.parent), lambda run: search(run.parent, overwrite=True)):
        with pytest.raises(UserError, match="symbolic link") as refused:
            use(run)
        assert str(path) in str(refused.value)
        assert refused.value.exit_code == 4
    assert content(outside) == before


@pytest.mark.parametrize("name", ["trial_0001/epochs.csv", "oracle.json", "run.json", ".lock", "trial_0001/trial.json"])
def test_a_fifo_is_refused_without_hanging(run, search, name):
    (run / name).unlink()
    os.mkfifo(run / name)
    assert "is a FIFO" in find_problems(run)[0].text
    with pytest.raises(UserError, match="FIFO"):
        search(run.parent)


def test_a_folder_in_place_of_a_file_and_a_symlink_loop_are_refused(run, search):
    (run / "oracle.json").unlink()
    (run / "oracle.json").mkdir()
    with pytest.raises(UserError, match=r"oracle\.json is a folder"):
        search(run.parent)
    (run / "oracle.json").rmdir()
    (run / "oracle.json").symlink_to(run / "oracle.json")
    with pytest.raises(UserError, match=r"oracle\.json is a symbolic link"):
        search(run.parent)


def test_unrelated_files_in_a_run_folder_are_ignored(run, tmp_path, search):
    (run / "data").symlink_to(tmp_path)
    (run / "notes").symlink_to(run / "nowhere")
    assert list(unsafe_entries(run)) == []
    assert search(run.parent) == 0


def test_a_symlinked_run_folder_is_followed(run, tmp_path):
    (tmp_path / "link").symlink_to(run)
    assert len(load_trials(tmp_path / "link")) == 4


def test_a_trial_folder_with_an_invalid_name_is_refused(run):
    (run / "trial_a b").mkdir()
    assert "is not a trial id" in find_problems(run)[0].text
    with pytest.raises(UserError, match="trial id"):
        RunFolder(run).trial_path("../x")


def test_escape_sequences_in_a_run_folder_are_not_printed(run):
    from fer_search.runs.status import read_status, status_lines
    from fer_search.terminal import printable

    info = json.loads((run / "run.json").read_text())
    info.pop("checksum")
    info["state"] = "\x1b]0;owned\x07\x1b[31mred"
    (run / "run.json").write_text(with_checksum(info))
    shown = printable("\n".join(status_lines(read_status(run))))
    assert "\x1b" not in shown
    assert "\\x1b[31mred" in shown


def test_what_is_written_in_place_is_no_hard_link_to_a_file_outside(run, outside, search):
    before = content(outside)
    (run / ".lock").unlink()
    for name in (".lock", "notes.jsonl"):
        os.link(outside / "thesis.txt", run / name)
    with pytest.raises(UserError, match=r"\.lock has another name"):
        search(run.parent)
    with pytest.raises(UserError, match=r"notes\.jsonl has another name"):
        append_note(run, "0000", "a note")
    assert content(outside) == before


def test_trials_of_another_run_are_not_taken_through_a_link(run, outside, search):
    shutil.rmtree(run / "trial_0001")
    (run / "trial_0001").symlink_to(outside)
    with pytest.raises(UserError, match=r"trial_0001 is a symbolic link") as refused:
        search(run.parent, name="second", from_run=run)
    assert refused.value.exit_code == 4
