"""Which baselines a run trains, and what is said if there are none."""

from pathlib import Path

import pytest

from fer_search.errors import UserError
from fer_search.search.scheduling.budget import baseline_names
from fer_search.search.settings import Settings
from fer_search.space import load_space

CPU = Path(__file__).parents[3] / "search_spaces" / "cpu.py"


def test_baselines_that_contradict_fix_leave_none_to_train():
    space = load_space(CPU)
    settings = Settings(space=space.path, tuner="random", baselines="only", repeats=2)
    assert baseline_names(settings, space) == ["default"] * 2
    assert baseline_names(settings, space.restricted({"filters": "16"})) == ["default"] * 2
    with pytest.raises(UserError, match="no baseline with the values of --fix; use --max-trials"):
        baseline_names(settings, space.restricted({"filters": "24"}))
