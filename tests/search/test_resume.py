"""Searches that are killed, run out of disk, time or luck, are extended, or fail: nothing is lost, and it is said."""

import errno
import json
import os
import signal
from contextlib import suppress

import pytest

import fer_search.files
from fer_search.errors import UserError
from fer_search.runfolder.epochs import append_epoch, read_epochs
from fer_search.search import opening
from fer_search.search.executors import job as job_module
from fer_search.training.trial import Stopped

TUNERS = ("guided", "random", "hyperband", "bayesian", "grid")


def options(tuner):
    if tuner == "guided":
        return {"tuner": tuner, "max_trials": 11, "max_epochs": 4, "factor": 2, "min_steps": 2}
    if tuner == "hyperband":
        return {"tuner": tuner, "max_trials": None, "max_epochs": 4, "factor": 2, "baselines": "none"}
    return {"tuner": tuner, "max_trials": 6, "max_epochs": 3}


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.fixture
def writes(monkeypatch):
    """Lets a number of writes pass and then raises; ``left`` and ``error`` can be set."""

    class Writes:
        left, error = 10**9, Killed

    real = os.fsync

    def fsync(handle):
        Writes.left -= 1
        if Writes.left < 0:
            raise Writes.error()  # a new one each time: the traceback of one raised again and again grows and grows
        real(handle)

    monkeypatch.setattr(fer_search.files.os, "fsync", fsync)
    return Writes


@pytest.mark.parametrize(
    "error", [Killed, lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))], ids=["killed", "disk full"]
)
@pytest.mark.parametrize("tuner", TUNERS)
def test_each_write_may_be_the_last(search, state, writes, tmp_path, monkeypatch, tuner, error):
    """Every start gets one write further than the last, then dies: at each write of the search, in a fresh process."""
    monkeypatch.setattr(
        job_module, "MAX_CRASHES", 10**9
    )  # it dies at the same place again and again; see the next tests
    assert search(tmp_path / "whole", **options(tuner)) == 0
    broken = tmp_path / "broken"
    writes.error = error
    ended, starts, refusals = None, 0, []
    while ended != 0 and starts < 2000:
        starts += 1
        writes.left = 3 + starts % 9
        try:
            ended = search(broken, **options(tuner))
        except Killed:
            continue
        except UserError as stopped:
            refusals.append((str(stopped), stopped.exit_code))
    assert all("no room left" in message and code == 4 for message, code in refusals)
    assert starts > 10
    assert state(broken / "tiny") == state(tmp_path / "whole" / "tiny")


def dying(real, error, dies):
    """Return a training that ends the process where ``dies(trial, epoch)`` says so."""

    def train(trial, data, hooks):
        progress = hooks.on_progress

        def die(at):
            progress(at)
            if dies(trial, at.epoch):
                raise error

        hooks.on_progress = die
        return real(trial, data, hooks)

    return train


def start_until_it_ends(search, *arguments, **options):
    """Return how many starts of a search died."""
    for died in range(40):
        try:
            assert search(*arguments, **options) == 0
            return died
        except Killed:
            pass
    raise AssertionError("it never ends")


@pytest.mark.parametrize("tuner", TUNERS)
def test_a_trial_that_the_process_dies_of_is_given_up(search, tmp_path, monkeypatch, tuner):
    """As of the kernel's out-of-memory killer: in the first epoch of one, in the second of another."""
    real = job_module.train
    at = [(2, 1), (4, 2)]
    monkeypatch.setattr(job_module, "train", dying(real, Killed, lambda trial, epoch: (trial.number, epoch) in at))
    given = options(tuner) | {"max_epochs": 4}
    if tuner == "guided":
        at[1] = (4, 1)
    if tuner == "hyperband":
        at[1] = (7, 2)  # the first promoted one, whose first epoch this is
    assert start_until_it_ends(search, tmp_path, **given) == 2 * 3
    trials = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("tiny/trial_*/trial.json"))]
    failed = {int(trial["trial_id"]): trial["message"] for trial in trials if trial["status"] == "FAILED"}
    reason = "the process died 3 times at the same place (killed by the system: out of memory?)"
    assert failed == {number: reason for number, _ in at}
    assert all(trial["status"] == "COMPLETED" for trial in trials if int(trial["trial_id"]) not in failed)
    assert reason in (tmp_path / "out.txt").read_text()
    assert not list(tmp_path.glob("tiny/**/training.json"))


def test_it_says_from_which_epoch_a_killed_trial_goes_on(search, tmp_path, monkeypatch):
    """The last one with a checkpoint, although epochs.csv has one more."""
    given, real = {"max_trials": 2, "max_epochs": 4}, job_module.train
    with monkeypatch.context() as patch:
        patch.setattr(job_module, "train", dying(real, Killed, lambda trial, epoch: epoch == 3))
        with pytest.raises(Killed):
            search(tmp_path, **given)
    (table,) = tmp_path.glob("tiny/trial_*/epochs.csv")
    rows = read_epochs(table)
    append_epoch(table, rows[-1] | {"epoch": 3})
    assert search(tmp_path, **given) == 0
    said = (tmp_path / "out.txt").read_text()
    assert "resuming after epoch 2" in said
    assert "resuming after epoch 3" not in said


def test_deaths_with_progress_between_them_do_not_count(search, state, tmp_path, monkeypatch):
    """Two at every place, ten in a trial; and any number of stops that were asked for."""
    given = {"max_trials": 3, "max_epochs": 5}
    assert search(tmp_path / "whole", **given) == 0
    real, deaths = job_module.train, {}

    def dies(trial, epoch):
        place = trial.number, epoch
        deaths[place] = deaths.get(place, 0) + 1
        return deaths[place] <= 2

    monkeypatch.setattr(job_module, "train", dying(real, Killed, dies))
    assert start_until_it_ends(search, tmp_path / "killed", **given) == 2 * 5 * 3
    assert state(tmp_path / "killed" / "tiny") == state(tmp_path / "whole" / "tiny")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_no_death_even_if_a_kill_comes_before_the_step_ends(search, state, tmp_path, monkeypatch, number):
    assert search(tmp_path / "whole") == 0
    real, starts = job_module.train, []

    def train(trial, data, hooks):
        starts.append(trial.number)
        if len(starts) <= 6:
            os.kill(os.getpid(), number)
            if len(starts) % 2:
                raise Killed
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", train)
    for _ in range(6):
        with suppress(Killed):
            assert search(tmp_path / "stopped") == 128 + number
    assert search(tmp_path / "stopped") == 0
    assert starts[:7] == [0] * 7
    assert state(tmp_path / "stopped" / "tiny") == state(tmp_path / "whole" / "tiny")


def test_a_search_begins_though_its_dear_design_kills_the_estimate(search, tmp_path, monkeypatch):
    asked = []

    def estimate(settings, space, data, timer, expensive, on_speed):
        asked.append(expensive)
        if expensive:
            raise Killed
        return 40.0, 80.0

    monkeypatch.setattr(opening, "estimate_search", estimate)
    assert start_until_it_ends(search, tmp_path) == 1
    assert asked == [True, False]
    assert not (tmp_path / "tiny" / "training.json").exists()


def test_a_full_disk_is_no_failure_of_the_trial(search, writes, tmp_path):
    writes.left = 12
    writes.error = lambda: OSError("Can't write data (errno = 28, error message = 'No space left on device')")
    with pytest.raises(UserError, match="free some space"):
        search(tmp_path / "full")
    writes.left = 10**9
    assert search(tmp_path / "full") == 0
    assert "failed" not in (tmp_path / "full" / "out.txt").read_text()


@pytest.mark.parametrize("rule", [{"patience": 2}, {"prune": "median"}])
def test_trials_end_early_and_baselines_do_not(search, state, writes, tmp_path, rule):
    given = {"max_trials": 14, "max_epochs": 9, **rule}
    assert search(tmp_path / "whole", **given) == 0
    trials = state(tmp_path / "whole" / "tiny")[0]
    lengths = {name: len(rows) for name, (_, rows, *_) in trials.items()}
    assert lengths["trial_0000"] == lengths["trial_0001"] == 9
    early = [name for name, length in lengths.items() if length < 9]
    assert early
    for name in early:
        assert trials[name][0]["status"] == "COMPLETED"
        assert trials[name][0]["message"].startswith(f"ended after epoch {lengths[name]}: ")
    writes.left = 5
    for _ in range(400):
        try:
            search(tmp_path / "killed", **given)
            break
        except Killed:
            writes.left = 13
    assert state(tmp_path / "killed" / "tiny") == state(tmp_path / "whole" / "tiny")


def test_a_stop_before_the_first_trial_starts_anew(search, tmp_path, monkeypatch):
    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        raise Stopped

    known = opening.estimate_search
    monkeypatch.setattr(opening, "estimate_search", interrupted)
    assert search(tmp_path, max_trials=1) == 143
    monkeypatch.setattr(opening, "estimate_search", known)
    assert search(tmp_path, max_trials=1) == 0


def test_what_is_left_over_is_removed(search, tmp_path):
    assert search(tmp_path, max_trials=1) == 0
    part = tmp_path / "tiny" / "trial_0000" / ".part-x.weights.h5"
    part.write_text("x")
    assert search(tmp_path, max_trials=1) == 0
    assert not part.exists()
