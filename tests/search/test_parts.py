import pytest

from fer_search.errors import UserError
from fer_search.search.folder import RunFolder
from fer_search.search.settings import Settings
from fer_search.search.words import in_words


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_trials": 0}, "--max-trials"),
        ({"max_epochs": 0}, "--max-epochs"),
        ({"factor": 1}, "--factor"),
        ({"seed": -1}, "--seed"),
        ({"limit_train": 3}, "--limit-train"),
        ({"validation": 1.0}, "--validation"),
        ({"width": 0.0}, "--width"),
        ({"name": "../elsewhere"}, "--name"),
        ({"name": ""}, "--name"),
    ],
)
def test_a_wrong_option_is_named(tmp_path, options, named):
    with pytest.raises(UserError, match=named):
        Settings(space=tmp_path / "s.py", **options)


def test_tuners_without_an_end_get_one(tmp_path):
    assert Settings(space=tmp_path / "s.py", tuner="random").max_trials == 50
    assert Settings(space=tmp_path / "s.py", tuner="hyperband").max_trials is None
    assert Settings(space=tmp_path / "s.py", tuner="random", baselines="only").max_trials is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(12, "about 12 s"), (89, "about 89 s"), (150, "about 2 min"), (9000, "about 2.5 h"), (2e5, "about 2.3 days")],
)
def test_durations_are_said_as_people_do(seconds, words):
    assert in_words(seconds) == words


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "new"}', '{"format": 99}'])
def test_a_run_json_that_cannot_be_read_is_named(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=r"run\.json") as caught:
        RunFolder(tmp_path).read()
    assert caught.value.exit_code == 4


def test_clearing_removes_what_a_run_wrote_and_nothing_else(tmp_path):
    for name in ("run.json", "oracle.json", "notes.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "trial_0000").mkdir()
    RunFolder(tmp_path).clear()
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
