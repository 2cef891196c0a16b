import json

import pytest

from fer_search.design import Design, Residual
from fer_search.errors import UserError
from fer_search.models import Cost
from fer_search.runfolder.folder import RunFolder
from fer_search.search.display.formatting import in_words
from fer_search.search.scheduling import estimate
from fer_search.search.scheduling.estimate import Sampled, time_designs
from fer_search.search.settings import Settings
from fer_search.search.trials.crash_guard import MARK, Mark


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


@pytest.mark.parametrize(
    ("works", "dear", "timed"), [({1, 9}, True, [1, 9]), ({1}, True, [1, 9]), ({1, 9}, False, [1]), (set(), True, [1])]
)
def test_designs_that_cannot_be_trained_do_not_spoil_the_estimate(monkeypatch, works, dear, timed):
    """Such as the dearest of a space, out of memory; one of no cost cannot even be built."""
    tried = []

    def time(one, data, speed, stop, devices):
        tried.append(one.cost.flops)
        if one.cost.flops not in works:
            raise MemoryError
        return 0.001 * one.cost.flops, 1.0

    monkeypatch.setattr(estimate, "_time", time)
    designs = [Sampled("", Design(network=Residual(stages=((4,),))), Cost(5, flops)) for flops in (0, 9, 1)]
    speed = time_designs(designs, None, dear=dear)
    assert tried == timed
    assert not works or speed.image(1) == pytest.approx(0.001)
    assert not {9} & works or speed.image(9) == pytest.approx(0.009)
    assert speed.image(1) > 0


def test_a_mark_counts_the_starts_that_died_at_the_place_where_a_training_is(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    mark = Mark(tmp_path, [other])
    assert [mark.set() for _ in range(4)] == [0, 1, 2, 3]
    (other / "epoch_0001.weights.h5").touch()
    assert [mark.set() for _ in range(2)] == [1, 2]
    (tmp_path / "partial.weights.h5").write_text("middle of an epoch")
    assert mark.set() == 1
    (tmp_path / "epoch_0002.weights.h5").touch()
    assert mark.set() == 1
    (tmp_path / "epochs.csv").write_text("epoch\n1\n2\n3\n")  # whose third is done again
    assert [mark.set() for _ in range(2)] == [2, 3]
    for text in ("", "[]", '{"starts": "two"}'):
        (tmp_path / MARK).write_text(text)
        assert [mark.set() for _ in range(2)] == [0, 1]
    mark.clear()
    assert mark.set() == 0
    assert json.loads((tmp_path / MARK).read_text())["starts"] == 1
