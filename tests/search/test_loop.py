"""The loop of a search: jobs that wait, end together or are lost, and what --max-trials leaves to propose."""

import contextlib
import os
import random
import signal
from collections import Counter

import pytest

from fer_search.runfolder.epochs import read_epochs
from fer_search.runfolder.json_files import read_json, write_json
from fer_search.search.executors import here
from fer_search.search.executors import job as job_module
from fer_search.search.executors.outcome import Outcome
from fer_search.search.proposing.replay import rebuild_oracle
from fer_search.search.scheduling.clock import Clock


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


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


class Unstoppable:
    """Stands for the search's ``Stop`` in a training that ends before it looks at it."""

    on_signal = None

    def __call__(self):
        return False


def wait_disorderly(rng, counts):
    """Return what stands for ``Here.wait``: jobs end in any order, several together, and the process may be stopped.

    Workers are lost, the process is killed, and at a stop some trainings still end; ``counts`` says how often.
    """

    def wait(self, listener):
        stopping = bool(self.jobs) and (self.stop_token() or rng.random() < 0.1)
        if stopping and not self.stop_token():
            os.kill(os.getpid(), signal.SIGTERM)
        rng.shuffle(self.jobs)
        ended = []
        for _ in range(len(self.jobs) if stopping else rng.randint(0, len(self.jobs))):
            what = rng.choices(["ended", "lost", "killed"], [90, 0 if stopping else 10, 2])[0]
            counts[f"{what} at a stop" if stopping else what] += 1
            if what == "killed":
                raise Killed
            job, stop = self.jobs.pop(), Unstoppable() if stopping and rng.random() < 0.5 else self.stop_token
            hooks = {"epoch": lambda row, number=job.trial.number: listener.epoch(number, row)}
            outcome = Outcome("lost", message="it died") if what == "lost" else job.run(self.data, stop, **hooks)
            ended.append((job, outcome))
        counts["together"] += len([job for job, outcome in ended if outcome.status == "completed"]) > 1
        return ended

    return wait


@pytest.mark.parametrize("tuner", ["guided", "hyperband"])
def test_neither_order_nor_losses_nor_stops_nor_kills_change_a_parallel_search(
    search, state, tmp_path, monkeypatch, tuner
):
    given = {"max_trials": 20 if tuner == "guided" else None, "ahead": 4, "tuner": tuner, "max_epochs": 8, "factor": 2}
    assert search(tmp_path / "one", **given) == 0
    counts = Counter()
    monkeypatch.setattr(here.Here, "capacity", 3)
    for seed in range(3):
        monkeypatch.setattr(here.Here, "wait", wait_disorderly(random.Random(seed), counts))
        code = None
        while code != 0:
            with contextlib.suppress(Killed):
                code = search(tmp_path / str(seed), **given)
                assert code in (0, 128 + signal.SIGTERM)
        assert state(tmp_path / str(seed) / "tiny") == state(tmp_path / "one" / "tiny")
    assert min(counts[name] for name in ("ended", "lost", "killed", "ended at a stop", "together")) > 0


FEW = {"tuner": "guided", "max_epochs": 8, "factor": 2, "min_steps": 1, "baselines": "none"}


@pytest.mark.parametrize("ahead", [1, 4])
def test_a_lost_oracle_of_few_trials_is_rebuilt(search, state, call, tmp_path, ahead):
    """The last trials waited for results and went to the last rung at once; then one was added, and more were begun."""
    run, given = tmp_path / "tiny", FEW | {"ahead": ahead}
    assert search(tmp_path, **given, max_trials=5) == 0
    assert call("add", str(run), "filters=6", "--no-run")[0] == 0
    assert search(tmp_path, **given, max_trials=5) == 0
    assert search(tmp_path, **given, max_trials=9, extend=True) == 0
    expected = state(run)
    values = [trial[0]["hyperparameters"]["values"] for trial in expected[0].values()]
    assert [values[number].get("tuner/epochs") for number in (4, 5, 9)] == [8, None, 8]
    (run / "oracle.json").unlink()
    rebuild_oracle(run)
    assert search(tmp_path, **given, max_trials=9) == 0
    assert state(run) == expected


def test_a_run_of_an_older_version_is_resumed_as_it_began(search, tmp_path):
    assert search(tmp_path, **FEW, max_trials=3) == 0
    record = tmp_path / "tiny" / "run.json"
    info = read_json(record)
    del info["tuner"]["last_trials_full"]
    write_json(record, info)
    assert search(tmp_path, **FEW, max_trials=5, extend=True) == 0
    rows = [len(read_epochs(tmp_path / "tiny" / f"trial_{number:04d}" / "epochs.csv")) for number in (3, 4)]
    assert rows == [1, 1]


@pytest.mark.parametrize("ahead", [1, 3])
def test_a_lost_oracle_that_was_short_of_time_is_rebuilt(search, state, tmp_path, monkeypatch, ahead):
    """The clock says that an epoch less is left at each proposal; the run ends by --max-trials, and is extended."""
    left = iter(range(15, 0, -1))
    monkeypatch.setattr(Clock, "epochs_left", lambda self: next(left))
    run, given = tmp_path / "tiny", FEW | {"ahead": ahead}
    assert search(tmp_path, **given, max_trials=10) == 0
    monkeypatch.setattr(Clock, "epochs_left", lambda self: None)
    expected = state(run)
    values = [trial[0]["hyperparameters"]["values"] for trial in expected[0].values()]
    short = [number for number, entries in enumerate(values) if entries.get("tuner/time_is_short")]
    assert len(short) == 1
    assert short[0] < 9
    assert values[short[0]]["tuner/epochs"] == 8
    (run / "oracle.json").unlink()
    rebuild_oracle(run)
    assert search(tmp_path, **given, max_trials=10) == 0
    assert state(run) == expected
