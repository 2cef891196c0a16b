"""The remaining time of a confirmation."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from fer_search.confirm import job as job_module
from fer_search.confirm.candidates import Candidate
from fer_search.confirm.clock import Clock, expected_seconds
from fer_search.confirm.progress import ConfirmProgress
from fer_search.design import Design
from fer_search.search.executors import here
from fer_search.training.trial import Progress

# The first epoch compiles; the resolution changes after the second of four.
CURVES = pd.DataFrame({"trial": "0000", "epoch": [1, 2, 3, 4], "seconds": [9.0, 2.0, 4.0, 4.5]})


def candidate(epochs, horizon=0):
    return Candidate("0000", None, Design(), epochs, 0.6, (), horizon=horizon)


@pytest.mark.parametrize(
    ("epochs", "horizon", "seconds"),
    [
        (4, 4, [3.0, 3.0, 6.0, 6.75]),
        (3, 4, [3.0, 3.0, 6.0]),  # up to the best epoch: the resolution changes where it did in the search
        (2, 0, [3.0, 6.75]),  # another number of epochs: it changes half-way
        (8, 0, [3.0, 3.0, 3.0, 3.0, 6.0, 6.0, 6.75, 6.75]),
    ],
)
def test_an_epoch_takes_as_long_as_at_the_same_point_of_the_trial(epochs, horizon, seconds):
    assert expected_seconds(candidate(epochs, horizon), CURVES, growth=1.5) == pytest.approx(seconds)


def test_a_trial_of_one_epoch_is_all_that_is_known():
    assert expected_seconds(candidate(2), CURVES[:1], growth=1.0) == pytest.approx([9.0, 9.0])


def make_clock(slots=1, workers=1, done=(0, 0, 0)):
    clock = Clock([np.array([10.0, 20.0])] * 3, done, workers)
    clock.slots = slots
    return clock


def test_trainings_wait_for_a_free_slot():
    assert make_clock().left() == 90
    assert make_clock(slots=2, workers=2).left() == 60  # two, then one
    assert make_clock(slots=3, workers=3, done=(2, 1, 0)).left() == 30


def test_workers_that_the_search_did_not_have_are_not_counted_on_until_an_epoch_was_measured():
    clock = make_clock(slots=3, workers=1)
    assert clock.left() == 90
    clock.end_epoch(0, {"epoch": 1, "seconds": 15.0})
    assert clock.left() == pytest.approx(1.5 * 30)


def test_a_slower_machine_is_noticed_and_every_training_counts():
    clock = make_clock(done=(2, 1, 0))
    assert (clock.trained, clock.left()) == (40, 50)
    clock.progress(1, 1.25)
    assert (clock.trained, clock.left()) == (45, 45)
    clock.end_epoch(1, {"epoch": 2, "seconds": 60.0})
    assert (clock.trained, clock.left()) == (60, 90)
    clock.end_training(2)
    assert (clock.trained, clock.left()) == (clock.total, 0)


def test_a_bar_shows_the_part_of_the_time_that_is_done(tmp_path):
    clock = make_clock(done=(2, 0, 0))
    with (tmp_path / "out.txt").open("w") as out:
        terminal = Console(file=out, width=200, force_terminal=True, _environ={"TERM": "xterm"})
        progress = ConfirmProgress(terminal, clock)
        assert progress.bar.tasks[0].percentage == pytest.approx(100 / 3)
        progress.steps(1, Progress(epoch=2, done=50, images=100, loss=1.0, accuracy=0.5))
        assert progress.bar.tasks[0].percentage == pytest.approx(100 * 50 / 90)
        progress.close()
    assert "about 40 s left" in (tmp_path / "out.txt").read_text()


def test_a_resumed_confirmation_says_what_is_left(confirm, run, set_seconds, monkeypatch):
    def stops_after_an_epoch(trial, data, hooks, real=job_module.train):
        ended = []
        hooks = dataclasses.replace(hooks, on_epoch_end=ended.append, should_stop=lambda: bool(ended))
        return real(trial, data, hooks)

    set_seconds(200.0)
    with monkeypatch.context() as patch:
        patch.setattr(job_module, "train", stops_after_an_epoch)
        assert confirm(trials=("1",), seeds=1, epochs=2) == 130
    assert confirm(trials=("1",), seeds=1, epochs=2) == 0
    printed = (run.parent / "out.txt").read_text()
    whole, rest = re.findall(r"(This|The rest) takes about (\d+) (min|s) if epochs", printed)
    assert whole[0] == "This"
    assert rest[0] == "The rest"
    assert int(whole[1]) == pytest.approx(2 * int(rest[1]), abs=1)
    assert "  epoch 2 of 2: training accuracy " in printed


@pytest.mark.usefixtures("made_up")
def test_the_rest_of_a_failed_training_is_not_left(confirm, monkeypatch):
    seen, real = [], job_module.train

    def fails_at_first(trial, data, hooks):
        if trial.folder.name == "training_00":
            raise RuntimeError("no luck")
        return real(trial, data, hooks)

    def close(self):
        seen.append((self.clock.trained, self.clock.total, self.clock.left()))

    monkeypatch.setattr(job_module, "train", fails_at_first)
    monkeypatch.setattr(ConfirmProgress, "close", close)
    assert confirm(trials=("1",), seeds=2) == 0
    ((trained, total, left),) = seen
    assert trained == total > 0 == left


@pytest.mark.usefixtures("made_up")
def test_trainings_share_the_slots_of_the_executor(confirm, monkeypatch):
    slots = []
    monkeypatch.setattr(here.Here, "slots", 3)
    monkeypatch.setattr(ConfirmProgress, "close", lambda progress: slots.append(progress.clock.slots))
    assert confirm(trials=("1",), seeds=1) == 0
    assert slots == [3]
