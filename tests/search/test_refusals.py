"""What keeps a search from starting: locks, damaged folders, changed spaces; and what run.json says of it."""

import errno
import hashlib
import json
import os

import pytest

from fer_search.errors import UserError
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.json_files import read_json, write_json
from fer_search.runfolder.predictions import worst_mistakes
from fer_search.search import run as run_module

TUNERS = ("random", "hyperband", "bayesian", "grid")


def test_a_stale_lock_is_no_lock(search, tmp_path):
    assert search(tmp_path, max_trials=1) == 0
    (tmp_path / "tiny" / ".lock").write_text('{"pid": 999999999, "host": "elsewhere", "since": "2020"}')
    assert not RunFolder(tmp_path / "tiny").in_use()
    assert search(tmp_path, max_trials=1) == 0


@pytest.mark.parametrize("pid", [999999999, os.getppid()])
def test_without_system_locks_the_process_in_the_file_decides(tmp_path, monkeypatch, pid):
    import fcntl
    import socket

    def unsupported(*arguments):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    (tmp_path / ".lock").write_text(json.dumps({"pid": pid, "host": socket.gethostname()}))
    assert RunFolder(tmp_path).in_use() == (pid == os.getppid())
    if pid == os.getppid():
        with pytest.raises(UserError, match=f"process {pid}"), RunFolder(tmp_path).lock():
            pass
    else:
        with RunFolder(tmp_path).lock():
            pass


def test_a_folder_that_cannot_be_made_is_named(search, tmp_path):
    (tmp_path / "tiny").write_text("a file")
    with pytest.raises(UserError, match=r"cannot write to the run folder .*tiny.*--results-dir") as caught:
        search(tmp_path)
    assert caught.value.exit_code == 2


def test_a_broken_oracle_is_named(search, tmp_path):
    assert search(tmp_path, max_trials=1) == 0
    (tmp_path / "tiny" / "oracle.json").write_text("{")
    with pytest.raises(UserError, match=r"oracle\.json.*doctor") as caught:
        search(tmp_path, max_trials=1)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("lost", ["run.json", "oracle.json"])
def test_nothing_is_begun_over_trials_that_are_there(search, state, tmp_path, lost):
    assert search(tmp_path, max_trials=2) == 0
    before = {path: path.read_bytes() for path in tmp_path.glob("tiny/trial_*/*")}
    (tmp_path / "tiny" / lost).unlink()
    with pytest.raises(UserError, match=lost) as caught:
        search(tmp_path, max_trials=2)
    assert caught.value.exit_code == 4
    assert before == {path: path.read_bytes() for path in tmp_path.glob("tiny/trial_*/*")}


def test_a_changed_space_is_refused_unless_its_comments_alone_changed(search, tiny_space, tmp_path):
    assert search(tmp_path, max_trials=1) == 0
    text = tiny_space.read_text()
    tiny_space.write_text('"""What it is."""\n# the widths\n' + text.replace("[4, 2, 6]", "[4,  2, 6]"))
    assert search(tmp_path, max_trials=1) == 0
    tiny_space.write_text(text.replace("[4, 2, 6]", "[4, 8]"))
    with pytest.raises(UserError, match=r"space was .*\[4, 2, 6\].* is .*\[4, 8\].* --overwrite") as caught:
        search(tmp_path, max_trials=1)
    assert caught.value.exit_code == 5


@pytest.fixture
def module(tiny_space):
    """A file beside the space, which imports it."""
    file = tiny_space.with_name("widths.py")
    file.write_text("FILTERS = [4, 2, 6]\n")
    tiny_space.write_text("import widths\n" + tiny_space.read_text().replace("[4, 2, 6]", "widths.FILTERS"))
    return file


def test_a_changed_module_of_the_space_is_refused_too(search, module, tmp_path):
    assert search(tmp_path, max_trials=1) == 0
    record = tmp_path / "tiny" / "run.json"
    assert json.loads(record.read_text())["space"]["modules"] == {"widths.py": "FILTERS = [4, 2, 6]\n"}
    module.write_text("# What it is.\nFILTERS = [4, 2,  6]\n")
    assert search(tmp_path, max_trials=1) == 0
    module.write_text("FILTERS = [4, 8]\n")
    with pytest.raises(UserError, match=r"space was .*\[4, 2, 6\]', is .*\[4, 8\]' in widths.py\..*") as caught:
        search(tmp_path, max_trials=1)
    assert caught.value.exit_code == 5


def test_a_run_from_before_modules_were_recorded_goes_on_and_records_them(search, module, tmp_path):
    assert search(tmp_path, max_trials=1) == 0
    record = tmp_path / "tiny" / "run.json"
    info = read_json(record)
    del info["space"]["modules"]
    text_alone = hashlib.sha256(info["space"]["text"].encode()).hexdigest()
    info["space"]["sha256"] = info["identity"]["space"] = text_alone
    write_json(record, info)
    assert search(tmp_path, max_trials=1) == 0
    assert search(tmp_path, max_trials=1) == 0
    module.write_text("FILTERS = [4, 8]\n")
    with pytest.raises(UserError, match=r"widths\.py"):
        search(tmp_path, max_trials=1)


def test_the_worst_mistakes_come_first(rng):
    probabilities = rng.dirichlet([1] * 7, 200)
    labels = rng.integers(0, 7, 200)
    worst = worst_mistakes(probabilities, labels)
    assert len(worst) == 40
    guess = probabilities.argmax(1)
    assert (guess[worst] != labels[worst]).all()
    heights = probabilities[worst, guess[worst]]
    assert (heights[:-1] >= heights[1:]).all()


def test_run_json_lists_what_is_not_searched(search, tmp_path, monkeypatch):
    real, skipped = run_module.resolve_missing_weights, [{"what": "backbone ResNet50", "why": "no connection"}]
    monkeypatch.setattr(
        run_module, "resolve_missing_weights", lambda space, settings: (real(space, settings)[0], skipped)
    )
    assert search(tmp_path, max_trials=1) == 0
    assert json.loads((tmp_path / "tiny" / "run.json").read_text())["skipped"] == skipped
    assert "Missing here: backbone ResNet50 (no connection)." in (tmp_path / "out.txt").read_text()
    monkeypatch.setattr(run_module, "resolve_missing_weights", real)
    with pytest.raises(UserError, match="other pretrained weights available") as caught:
        search(tmp_path, max_trials=1)
    assert caught.value.exit_code == 5
