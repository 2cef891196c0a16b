"""The identity of a run: what is taken over from its record when the same command resumes it."""

import json
import os

import pytest

from fer_search.runfolder.identity import recorded_defaults


@pytest.mark.parametrize(
    ("tuner", "defaults"),
    [
        ({"name": "hyperband"}, {"tuner": "hyperband", "min_steps": 0}),  # from before --min-steps
        ({"name": "guided", "min_steps": 75}, {"tuner": "guided", "min_steps": 75}),  # the default once
        (  # so was this limit
            {"name": "random", "max_trials": 50, "time_budget": 60.0},
            {"tuner": "random", "min_steps": 0, "max_trials": 50},
        ),
        ({"name": "random", "max_trials": 50, "time_budget": None}, {"tuner": "random", "min_steps": 0}),
        ({"name": "random", "max_trials": None, "time_budget": 60.0}, {"tuner": "random", "min_steps": 0}),
    ],
)
def test_a_run_keeps_the_defaults_with_which_it_began(tmp_path, tuner, defaults):
    (tmp_path / "run.json").write_text(json.dumps({"format": 1, "tuner": tuner}))
    assert recorded_defaults(tmp_path) == defaults


def test_a_new_run_has_no_recorded_defaults(tmp_path):
    assert recorded_defaults(tmp_path) == {}


@pytest.mark.parametrize("kind", ["link", "FIFO"])
def test_defaults_are_read_from_a_regular_file_only(tmp_path, kind):
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"format": 1, "tuner": {"name": "random"}}))
    if kind == "link":
        (tmp_path / "run.json").symlink_to(other)
    else:
        os.mkfifo(tmp_path / "run.json")  # opened to read, it would wait for a writer
    assert recorded_defaults(tmp_path) == {}
