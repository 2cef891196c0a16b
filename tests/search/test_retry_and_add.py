"""fer-search retry and add execute nothing that a run folder names but the user's own search of the run's space."""

import os
import shutil

import pytest
import typer

from fer_search.cli import app
from fer_search.runfolder.json_files import read_json, write_json
from fer_search.runfolder.queue import read_queue


@pytest.fixture
def recorded(search, call, tmp_path, monkeypatch):
    """Return a function that puts a command into a run's run.json, adds a design, and returns what is executed."""
    assert search(tmp_path / "results", max_trials=2) == 0
    monkeypatch.chdir(tmp_path)
    executed = []
    monkeypatch.setattr("os.execv", lambda program, arguments: executed.append(arguments[1:]))

    def add(command, *options, run="results/tiny", **fields):
        info = read_json(tmp_path / "results" / "tiny" / "run.json")
        write_json(tmp_path / "results" / "tiny" / "run.json", info | {"command": command} | fields)
        executed.clear()
        code, out, err = call("add", str(run), "filters=6", *options)
        return code, out, err, executed[0] if executed else None

    return add


def foreign(tmp_path):
    """Write spaces that a run folder's command must not make fer-search execute."""
    for path in (tmp_path / "evil.py", tmp_path / "results" / "tiny" / "evil.py"):
        path.write_text("raise SystemExit('executed')\ndef design(hp): ...\n")
    shutil.copy(tmp_path / "tiny.py", tmp_path / "results" / "tiny" / "tiny.py")


REFUSED = {
    "fer-search space check evil.py": "no fer-search run",
    "python evil.py": "no fer-search run",
    "": "no fer-search run",
    "fer-search run --space evil.py": "evil.py is not as it was",
    "fer-search --debug run --data toy --space=tiny.py --space=evil.py": "evil.py is not as it was",
    "fer-search run --space results/tiny/tiny.py": "results/tiny/tiny.py is inside the run folder",
    "fer-search run --space gone.py": "gone.py cannot be read (No such file or directory)",
    "fer-search run": "cpu.py is not as it was",
    "fer-search run 'x": "records no command",
}


@pytest.mark.parametrize("command", REFUSED)
def test_no_other_command_and_no_other_space_is_executed(recorded, call, tmp_path, command):
    foreign(tmp_path)
    code, _, err, executed = recorded(command)
    assert (code, executed) == (4 if command.endswith("'x") else 2, None)
    assert REFUSED[command] in err
    assert read_queue(tmp_path / "results" / "tiny") == []
    assert call("retry", "results/tiny")[0] == code
    if code == 2:
        assert "run it yourself if you trust it, or give --no-run" in err
        assert recorded(command, "--no-run")[0] == 0


def test_the_checked_space_is_the_one_that_is_searched(recorded, tmp_path):
    """However the arguments are read: here the last --space= is the value of --name."""
    foreign(tmp_path)
    code, _, _, executed = recorded("fer-search run --space evil.py --name --space=tiny.py")
    assert code == 0
    group = typer.main.get_command(app)
    arguments = executed[executed.index("run") + 1 :]
    assert str(group.commands["run"].make_context("run", arguments).params["space"]) == "tiny.py"


def test_the_users_own_command_is_run_again(recorded, tmp_path, tiny_space):
    own = f"fer-search --debug run --space {tiny_space} --overwrite"
    *python, debug, run, option, space, again, checked = recorded(own)[3]
    assert (debug, run, option, space, again, checked) == ("--debug", "run", *("--space", str(tiny_space)) * 2)
    assert python == ["-P", "-m", "fer_search.cli"]  # -P: no modules from the current folder
    tiny_space.write_text("# only a comment\n" + tiny_space.read_text())
    assert recorded("fer-search run --space=tiny.py")[0] == 0
    (tmp_path / "search_spaces").mkdir()
    shutil.copy(tiny_space, tmp_path / "search_spaces" / "modern.py")
    assert recorded("fer-search run")[3][-2:] == ["--space", os.path.join("search_spaces", "modern.py")]


def test_a_command_is_shown_without_its_escape_sequences(recorded):
    for options in ((), ("--no-run",)):
        _, out, err, _ = recorded("fer-search run --space tiny.py --name '\x1b]0;owned\x07'", *options)
        assert "\x1b" not in out + err
        assert "\\x1b]0;owned\\x07" in out


def test_a_design_is_not_added_to_a_run_with_a_link(recorded, tmp_path):
    (tmp_path / "results" / "tiny" / "queue.json").symlink_to(tmp_path / "tiny.py")
    code, _, err, _ = recorded("fer-search run --space tiny.py", "--no-run")
    assert code == 4
    assert "queue.json is a symbolic link" in err


def test_the_run_itself_is_continued_from_any_folder(recorded, tmp_path, tiny_space, monkeypatch):
    """Not one of the same name, which the command would begin where it is given."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    run = tmp_path / "results" / "tiny"
    executed = recorded(f"fer-search run --space {tiny_space}", run=run)[3]
    place = ["--results-dir", str(run.parent), "--name", "tiny"]
    assert executed[-6:] == [*place, "--space", str(tiny_space)]
