"""Which baselines a run trains, what is said if there are none, and how many epochs are planned."""

import re
from pathlib import Path

import pytest

from fer_search.errors import UserError
from fer_search.runfolder.epochs import read_epochs
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


@pytest.mark.parametrize("limit", [1, 2, 3, 6])
def test_the_epochs_of_few_guided_trials_are_known_before_they_begin(search, tmp_path, tiny_space, limit):
    """Without a second baseline, whose rungs the tuner decides about."""
    tiny_space.write_text(tiny_space.read_text().replace("baselines = {", "baselines = {'only': {}}\nothers = {"))
    given = {"tuner": "guided", "max_trials": limit, "max_epochs": 9, "factor": 3, "min_steps": None}
    assert search(tmp_path, **given) == 0
    planned = int(re.search(r"Search: guided, \d+ trials? .*?(\d+) epochs", (tmp_path / "out.txt").read_text())[1])
    trained = [len(read_epochs(path)) for path in tmp_path.glob("tiny/trial_*/epochs.csv")]
    assert len(trained) == limit
    assert sum(trained) == planned
