"""The options of a run and how their values are parsed."""

from pathlib import Path

import pytest

from fer_search.errors import UserError
from fer_search.search.settings import (
    Settings,
    parse_ahead,
    parse_bytes,
    parse_devices,
    parse_duration,
    parse_fixed,
    parse_workers,
)


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
def test_an_invalid_option_is_named(tmp_path, options, named):
    with pytest.raises(UserError, match=named):
        Settings(space=tmp_path / "s.py", **options)


def test_tuners_that_never_end_get_a_trial_limit(tmp_path):
    assert Settings(space=tmp_path / "s.py").tuner == "guided"
    assert Settings(space=tmp_path / "s.py").min_steps == 150
    assert Settings(space=tmp_path / "s.py", tuner="hyperband").min_steps == 300
    assert Settings(space=tmp_path / "s.py").max_trials == 50
    assert Settings(space=tmp_path / "s.py", tuner="random").max_trials == 50
    assert Settings(space=tmp_path / "s.py", tuner="hyperband").max_trials is None
    assert Settings(space=tmp_path / "s.py", tuner="random", baselines="only").max_trials is None


def test_a_time_budget_replaces_the_default_trial_limit(tmp_path):
    assert Settings(space=tmp_path / "s.py", time_budget=60.0).max_trials is None
    assert Settings(space=tmp_path / "s.py", time_budget=60.0, max_trials=7).max_trials == 7


def test_durations_sizes_and_fixed_choices_are_parsed():
    assert parse_duration("90s") == 90
    assert parse_duration("2h30m") == 9000
    assert parse_duration("45min") == 2700
    assert parse_bytes("1.5GB") == 1.5e9
    assert parse_bytes("none") == float("inf")
    assert parse_fixed(["a=b=c", " d = 1 "]) == {"a": "b=c", "d": "1"}


@pytest.mark.parametrize("text", ["", "2", "h", "2 weeks", "-1h", "0s"])
def test_an_invalid_duration_is_refused(text):
    with pytest.raises(UserError):
        parse_duration(text)


def test_devices_are_a_number_or_all():
    assert [parse_devices(text, 4) for text in ("1", "4", "all")] == [1, 4, 4]
    for wrong in ("0", "5", "-1", "some", ""):
        with pytest.raises(UserError, match="--devices"):
            parse_devices(wrong, 4)


def test_workers_are_a_number_or_auto_and_ahead_a_number_or_any():
    assert [parse_workers(text) for text in ("1", "16", "auto")] == [1, 16, None]
    assert [parse_ahead(text) for text in (None, "4", "any")] == [None, 4, "any"]
    for wrong in ("0", "-1", "many", "1.5", ""):
        with pytest.raises(UserError, match="--workers must be a positive number or auto"):
            parse_workers(wrong)
        with pytest.raises(UserError, match="--ahead must be a positive number or any"):
            parse_ahead(wrong)
    with pytest.raises(UserError, match="--gpus-per-trial"):
        Settings(Path("s.py"), devices=2, workers=4)
