"""Trainings of a confirmation that failed, whose files are damaged, or of which the process died."""

import pytest

from fer_search.confirm import job as job_module
from fer_search.errors import UserError
from fer_search.report.tables.confirmed import load_confirmation
from fer_search.runfolder.json_files import read_json, write_json
from fer_search.training.trial import TrialFailed


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def record(run):
    return read_json(run / "confirm" / "confirm.json")


def out_text(run):
    return (run.parent / "out.txt").read_text()


@pytest.mark.usefixtures("made_up")
def test_damaged_predictions_and_networks_are_made_again(confirm, run):
    assert confirm(top=1, seeds=2) == 0
    whole, folder = record(run), run / "confirm" / "look_1" / "training_01"
    for harm in (lambda content: b"", lambda content: content[:19], lambda content: content[:-40] + bytes(40)):
        for name in ("test.npz", "model.keras"):
            file = folder / name
            file.write_bytes(harm(file.read_bytes()))
            assert confirm(top=1, seeds=2) == 0
            assert record(run) == whole
            assert f"{name} is damaged; it is trained again." in (run.parent / "out.txt").read_text()
    file.unlink()
    assert confirm(top=1, seeds=2) == 0
    assert record(run) == whole
    assert file.exists()


@pytest.mark.usefixtures("made_up")
def test_a_failed_training_is_a_result(confirm, run, monkeypatch):
    def failing(trial, data, hooks):
        raise TrialFailed("the training loss was nan in epoch 1")

    monkeypatch.setattr(job_module, "train", failing)
    assert confirm(top=1, seeds=2) == 3
    assert [one["why"] for one in record(run)["trainings"]] == ["the training loss was nan in epoch 1"] * 2
    assert load_confirmation(run).empty
    assert "No training succeeded: the training loss was nan in epoch 1." in (run.parent / "out.txt").read_text()


@pytest.mark.usefixtures("made_up")
def test_trainings_that_failed_are_tried_again(confirm, run, monkeypatch):
    real = job_module.train

    def fail(trial, data, hooks):
        if trial.number % 2:
            raise TrialFailed("the training loss was nan in epoch 1")
        return real(trial, data, hooks)

    with monkeypatch.context() as patch:
        patch.setattr(job_module, "train", fail)
        assert confirm(top=1, seeds=2) == 0
    assert ["tests" in one for one in record(run)["trainings"]] == [True, False]
    assert confirm(top=1, seeds=2) == 0
    assert ["tests" in one for one in record(run)["trainings"]] == [True, True]
    assert "seed 1, failed (the training loss was nan in epoch 1); it is tried again." in out_text(run)


@pytest.mark.usefixtures("made_up")
def test_it_is_not_resumed_with_other_epochs(confirm, run):
    """Its trials may have been trained for longer since."""
    assert confirm(top=1, seeds=1) == 0
    whole = record(run)
    whole["candidates"][0]["epochs"] += 1
    write_json(run / "confirm" / "confirm.json", whole)
    with pytest.raises(UserError, match=r"before the search went on: .* --overwrite starts it again") as error:
        confirm(top=1, seeds=1)
    assert error.value.exit_code == 5


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize("step", ["train", "save_and_predict"])
def test_a_training_that_the_process_dies_of_is_given_up(confirm, run, monkeypatch, step):
    """In the first of two trainings, or in its test."""
    real, deaths = getattr(job_module, step), 0

    def dying(*arguments):
        nonlocal deaths
        if deaths < 3:
            deaths += 1
            raise Killed
        return real(*arguments)

    monkeypatch.setattr(job_module, step, dying)
    for _ in range(3):
        with pytest.raises(Killed):
            confirm(top=1, seeds=2)
    assert confirm(top=1, seeds=2) == 0
    first, second = record(run)["trainings"]
    assert "died 3 times" in first["why"]
    assert "tests" in second
    assert not list(run.rglob("training.json"))
