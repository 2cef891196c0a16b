"""The epochs of a confirmation that has a time budget."""

import pandas as pd
import pytest

from fer_search.confirm.candidates import Candidate
from fer_search.confirm.settings import Settings
from fer_search.confirm.time_budget import fit_epochs
from fer_search.design import Design, Optimisation
from fer_search.errors import UserError

CURVES = pd.DataFrame({"trial": ["0000", "0000", "0001"], "seconds": [12.0, 8.0, 30.0]})


def candidate(trial, schedule="one_cycle"):
    return Candidate(trial, None, Design(optimisation=Optimisation(schedule=schedule)), 9, 0.6, ())


def test_all_trainings_together_take_about_the_time_given():
    (cheap, slow) = fit_epochs([candidate("0000"), candidate("0001")], CURVES, 3600, seeds=3, growth=1.1)
    assert (cheap.epochs, slow.epochs) == (50, 16)  # 558 s for each training, epochs of 11 s and of 33 s
    assert 0.85 * 3600 < 3 * 1.1 * (50 * 10 + 16 * 30) < 3600


def test_a_budget_without_room_for_an_epoch_is_refused():
    with pytest.raises(UserError, match=r"not one epoch of trial 1 fits, which takes about 33 s"):
        fit_epochs([candidate("0001")], CURVES, 60, seeds=3, growth=1.1)


def test_a_schedule_that_follows_the_searchs_validation_loss_is_refused():
    with pytest.raises(UserError, match=r"the plateau schedule of trial 0 .* give --epochs"):
        fit_epochs([candidate("0000", "plateau")], CURVES, 3600, seeds=3, growth=1.1)


def test_epochs_and_a_time_budget_are_not_given_together(tmp_path):
    with pytest.raises(UserError, match="give one of them"):
        Settings(tmp_path, epochs=3, time_budget=60.0)
