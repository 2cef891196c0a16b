"""The command line: usage, help and errors, each with its exit code."""

import re

import pytest

from fer_search.errors import UserError

KERAS = ("keras", "tensorflow", "jax", "keras_tuner")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "--tuner", "magic"], "--tuner"),
        (["run", "--nonsense"], "--nonsense"),
        (["run", "--max-trials", "many"], "--max-trials"),
        (["run", "--max-trials", "0"], "--max-trials"),
        (["run", "--space", "missing.py"], "missing.py"),
        (["run", "--data", "nowhere"], "nowhere"),
        (["run", "--time-budget", "soon"], "--time-budget"),
        (["run", "--max-disk", "much"], "--max-disk"),
        (["run", "--fix", "filters"], "--fix"),
        (["run", "--fix", "colour=red"], "colour"),
        (["run", "--fix", "filters=5"], "filters"),
        (["run", "--prune", "median", "--tuner", "hyperband"], "--prune"),
        (["run", "--extend", "--overwrite"], "--extend"),
        (["run", "--extend", "--data", "toy", "--name", "nosuch"], "there is no run results/nosuch"),
        (["report", "nowhere"], "nowhere"),
        (["report", "one", "two", "--watch"], "--watch"),
        (["report", "one", "--figure", "curves"], "--out"),
        (["report", "one", "--format", "md", "--figure", "curves", "--out", "x.html"], "--figure"),
        (["status", "nowhere"], "nowhere"),
        (["runs", "--results-dir", "nowhere"], "nowhere"),
        (["doctor", "nowhere"], "nowhere"),
        (["data", "info", "nowhere"], "nowhere"),
        (["nonsense"], "nonsense"),
    ],
)
def test_user_errors_are_one_line_with_exit_code_2(call, tiny_space, tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "run" and "--space" not in arguments:
        arguments = [*arguments, "--space", tiny_space]
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    *steps, line = err.splitlines()
    assert all(step.endswith(" ...") for step in steps), err  # progress messages
    assert line.startswith("fer-search: ")
    assert named in line


def test_debug_shows_the_traceback(call, monkeypatch, tmp_path):
    monkeypatch.setenv("FER_SEARCH_DEBUG", "")  # so that monkeypatch restores it
    code, _, err = call("--debug", "status", tmp_path / "nowhere")
    assert code == 2
    assert "Traceback" in err


def test_options_can_be_set_by_environment_variables(call, monkeypatch, tiny_space):
    monkeypatch.setenv("FER_SEARCH_RUN_MAX_TRIALS", "0")
    assert "--max-trials must be at least 1" in call("run", "--space", tiny_space)[2]


def test_help_lists_every_variable_in_a_narrow_terminal(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    commands = call("--help")[1].partition("Commands:")[2]
    assert "..." not in commands
    names = [line.split()[0] for line in commands.strip().splitlines()]
    assert {"run", "confirm", "report", "doctor", "space", "data"} <= set(names)
    groups = {"space": ["show", "check"], "data": ["info", "download"]}
    for path in [[name, *more] for name in names for more in ([[m] for m in groups.get(name, [])] or [[]])]:
        shown = call(*path, "--help")[1]
        assert max(map(len, shown.splitlines())) <= 80
        prefix = "_".join(["FER_SEARCH", *path]).upper()
        options = set(re.findall(r"^  (?:-h, )?--([a-z-]+)", shown, re.MULTILINE)) - {"help"}
        assert set(re.findall(rf"\b{prefix}_(\w+)\b", shown)) == {o.replace("-", "_").upper() for o in options}


def test_an_internal_error_is_one_line(call, monkeypatch):
    def faulty():
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr("fer_search.backend.describe_devices", faulty)
    code, _, err = call("devices")
    assert code == 1
    assert err.strip().splitlines() == [
        "fer-search: unexpected error (ZeroDivisionError: two lines); nothing on disk is lost; "
        "fer-search --debug shows where"
    ]


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "re-run the same command to resume"),
        (UserError("no such thing"), 2, "no such thing"),
        (UserError("in use", 4), 4, "in use"),
        (ValueError("odd"), 1, "unexpected error (ValueError: odd)"),
    ],
)
def test_every_error_has_its_exit_code_and_one_line(call, monkeypatch, error, code, message):
    def ending():
        raise error

    monkeypatch.setattr("fer_search.backend.describe_devices", ending)
    ended, out, err = call("devices")
    assert (ended, out, err.count("\n")) == (code, "", 1)
    assert message in err


def test_an_unknown_value_of_an_option_is_reported_with_the_known_ones(call):
    _, _, err = call("run", "--tuner", "rando")
    assert err.startswith("fer-search: Invalid value for '--tuner': 'rando' is not one of 'guided', 'hyperband'")


def test_a_misspelt_objective_is_reported_before_the_data_are_read(call, tiny_space):
    code, _, err = call("run", "--space", tiny_space, "--data", "nowhere", "--objective", "auc")
    assert code == 2
    assert "--objective auc: not a recorded metric" in err
