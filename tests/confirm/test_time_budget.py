"""The epochs of a confirmation that has a time budget."""

import dataclasses

import pandas as pd
import pytest

from fer_search.confirm.candidates import Candidate
from fer_search.confirm.settings import Settings
from fer_search.confirm.time_budget import fit_epochs, plan_epochs
from fer_search.design import Design, Optimisation
from fer_search.errors import UserError
from fer_search.runfolder.json_files import read_json
from fer_search.runfolder.run_json import load_run
from fer_search.search.executors.request import WorkerRequest

CURVES = pd.DataFrame({"trial": ["0000", "0000", "0001"], "seconds": [12.0, 8.0, 30.0]})


def candidate(trial, schedule="one_cycle"):
    return Candidate(trial, None, Design(optimisation=Optimisation(schedule=schedule)), 9, 0.6, ())


def test_all_trainings_together_take_about_the_time_given():
    (cheap, slow) = fit_epochs([candidate("0000"), candidate("0001")], CURVES, 3600, seeds=3, growth=1.1)
    assert (cheap.epochs, slow.epochs) == (50, 16)  # 558 s for each training, epochs of 11 s and of 33 s
    assert 0.85 * 3600 < 3 * 1.1 * (50 * 10 + 16 * 30) < 3600


def test_trainings_at_the_same_time_get_more_epochs():
    candidates = [candidate("0000"), candidate("0001")]
    (cheap, slow) = fit_epochs(candidates, CURVES, 3600, seeds=3, growth=1.1, workers=4)
    assert (cheap.epochs, slow.epochs) == (152, 50)  # two rounds: four trainings, then two


@pytest.mark.parametrize(
    ("searched", "asked", "epochs"), [(2, 2, 30), (2, None, 30), (2, 1, 15), (1, 2, 15), (4, 2, 30), (2, 4, 30)]
)
def test_workers_that_only_the_search_or_the_confirmation_has_are_not_counted_on(
    run, set_seconds, searched, asked, epochs
):
    set_seconds(2.0)
    settings = Settings(run, trials=("2",), seeds=2, time_budget=72.0, workers=WorkerRequest(asked))
    info = dataclasses.replace(load_run(run), workers=searched)
    assert [planned.epochs for planned in plan_epochs([candidate("0002")], settings, info)] == [epochs]


@pytest.mark.usefixtures("made_up")
def test_a_confirmation_keeps_its_numbers_of_epochs(confirm, run, set_seconds):
    options = {"trials": ("1",), "seeds": 1, "time_budget": 20.0}
    set_seconds(1.0)
    assert confirm(**options) == 0
    before = read_json(run / "confirm" / "confirm.json")
    set_seconds(3.0)
    assert confirm(**options) == 0
    assert read_json(run / "confirm" / "confirm.json") == before
    assert confirm(**options, overwrite=True) == 0
    after = read_json(run / "confirm" / "confirm.json")
    assert before["candidates"][0]["epochs"] > 2 * after["candidates"][0]["epochs"]


def test_a_budget_without_room_for_an_epoch_is_refused():
    with pytest.raises(UserError, match=r"not one epoch of trial 1 fits, which takes about 33 s"):
        fit_epochs([candidate("0001")], CURVES, 60, seeds=3, growth=1.1)


def test_a_schedule_that_follows_the_searchs_validation_loss_is_refused():
    with pytest.raises(UserError, match=r"the plateau schedule of trial 0 .* give --epochs"):
        fit_epochs([candidate("0000", "plateau")], CURVES, 3600, seeds=3, growth=1.1)


def test_epochs_and_a_time_budget_are_not_given_together(tmp_path):
    with pytest.raises(UserError, match="give one of them"):
        Settings(tmp_path, epochs=3, time_budget=60.0)
