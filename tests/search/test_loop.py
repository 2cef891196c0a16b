"""The loop of a search with an executor that accepts more jobs than it trains at the same time."""

import os
import signal

import pytest

from fer_search.search.executors import here
from fer_search.search.executors import job as job_module


@pytest.fixture
def spare_jobs(monkeypatch):
    """Make the executor of this process accept three jobs; gives how many waited at each submission."""
    waiting, real = [], here.Here.submit

    def submit(self, job):
        real(self, job)
        waiting.append(len(self.jobs))

    monkeypatch.setattr(here.Here, "submit", submit)
    monkeypatch.setattr(here.Here, "capacity", 3)
    return waiting


def test_jobs_that_wait_in_the_executor_change_no_result(search, state, tmp_path, request):
    given = {"max_trials": 8, "ahead": 4}
    assert search(tmp_path / "one", **given) == 0
    waiting = request.getfixturevalue("spare_jobs")
    assert search(tmp_path / "three", **given) == 0
    assert max(waiting) == 3
    assert state(tmp_path / "three" / "tiny") == state(tmp_path / "one" / "tiny")


def test_jobs_that_wait_at_a_stop_are_trained_after_it(search, state, spare_jobs, tmp_path, monkeypatch):
    given = {"max_trials": 8, "ahead": 4}
    assert search(tmp_path / "undisturbed", **given) == 0
    real, begun = job_module.train, []

    def train(trial, data, hooks):
        begun.append(trial.number)
        if len(begun) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", train)
    assert search(tmp_path / "stopped", **given) == 128 + signal.SIGTERM
    assert search(tmp_path / "stopped", **given) == 0
    assert state(tmp_path / "stopped" / "tiny") == state(tmp_path / "undisturbed" / "tiny")


@pytest.mark.parametrize("tuner", ["guided", "hyperband"])
def test_jobs_that_end_together_change_no_result(search, state, tmp_path, monkeypatch, tuner):
    """Several results in one answer of the executor, as two workers give them that end at the same moment."""
    given = {"max_trials": 20 if tuner == "guided" else None, "ahead": 4, "tuner": tuner, "max_epochs": 8, "factor": 2}
    assert search(tmp_path / "one", **given) == 0
    together, one = [], here.Here.wait

    def wait(self, listener):
        ended = [ended for _ in range(len(self.jobs)) for ended in one(self, listener)]
        together.append(len(ended))
        return ended

    monkeypatch.setattr(here.Here, "wait", wait)
    monkeypatch.setattr(here.Here, "capacity", 3)
    assert search(tmp_path / "three", **given) == 0
    assert max(together) == 3
    assert state(tmp_path / "three" / "tiny") == state(tmp_path / "one" / "tiny")
