"""Whole searches on a handful of toy faces: killed, stopped and resumed, they end as if undisturbed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from once import make_once
from rich.console import Console

from fer_search import cli
from fer_search.data.load import load_dataset
from fer_search.runfolder.epochs import read_epochs
from fer_search.runfolder.json_files import read_json
from fer_search.runfolder.predictions import predicted_trial
from fer_search.search import opening
from fer_search.search import run as run_module
from fer_search.search.display import Lines
from fer_search.search.executors import job as job_module
from fer_search.search.run import run_search
from fer_search.search.settings import Settings
from fer_search.search.trials.checkpoint_retention import KEPT_WEIGHTS


@pytest.fixture(autouse=True)
def _small_data(monkeypatch, faces):
    monkeypatch.setattr(run_module, "load_dataset", lambda source, **options: faces)
    monkeypatch.setattr(opening, "estimate_search", lambda *arguments: (40.0, 80.0))


def search(space, folder, **options):
    given = {"max_trials": 4, "max_epochs": 2, "limit_train": 64, "tuner": "random", "min_steps": 0} | options
    with (folder / "out.txt").open("a") as out:
        view = Lines(Console(file=out, width=200))
        return run_search(Settings(space=space, results_dir=folder, **given), view)


@pytest.fixture
def one_network(tiny_space):
    """The tiny space without the choices that change its network, which is then traced once."""
    lines = tiny_space.read_text()
    for choice, value in (
        ("hp.Choice('filters', [4, 2, 6])", "4"),
        ("hp.Choice('downsample', ['strided', 'max_pool'])", "'strided'"),
        ("hp.Choice('dropout', [0.0, 0.2])", "0.2"),
    ):
        assert choice in lines
        lines = lines.replace(choice, value)
    tiny_space.write_text(lines)
    return tiny_space


@pytest.fixture
def finished(tiny_space, tmp_path_factory):
    """The folder of a finished search of one trial more than keep their weights, for an epoch each. Only read it."""

    def make(folder):
        assert search(tiny_space, folder, max_trials=KEPT_WEIGHTS + 1, max_epochs=1) == 0

    return make_once(tmp_path_factory, "one_epoch_each", make)


def state(run):
    """All that a search computed; times and the order of its events left out."""
    trials = {}
    for folder in sorted(run.glob("trial_*")):
        trial = read_json(folder / "trial.json")
        trial["metrics"]["metrics"].pop("seconds", None)
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in read_epochs(folder / "epochs.csv")]
        weights = sorted(path.name for path in folder.glob("*.h5"))
        trials[folder.name] = (trial, rows, (folder / "design.json").read_text(), weights)
    oracle = read_json(run / "oracle.json")
    return trials, {key: value for key, value in oracle.items() if key != "display"}


def differences(a, b, place=""):
    """Return where two nested values differ, with both values."""
    if type(a) is type(b) and isinstance(a, dict | list | tuple):
        pairs = (
            [(k, a.get(k), b.get(k)) for k in a | b]
            if isinstance(a, dict)
            else [(k, *v) for k, v in enumerate(zip(a, b, strict=False))]
        )
        inner = [d for k, one, other in pairs for d in differences(one, other, f"{place}/{k}")]
        return inner or ([] if len(a) == len(b) else [(place, len(a), len(b))])
    return [] if a == b else [(place, a, b)]


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def test_a_search_runs_the_baselines_then_the_tuners_trials(finished):
    run = finished / "tiny"
    designs = [json.loads((run / f"trial_000{k}" / "design.json").read_text()) for k in range(6)]
    assert [design["name"] for design in designs] == ["plain", "cut", None, None, None, None]
    assert designs[1]["design"]["augmentation"]["cutout"] == 8
    assert all(design["parameters"] > 40 and design["flops"] > 10_000 for design in designs)
    info = json.loads((run / "run.json").read_text())
    assert info["state"] == "finished"
    assert info["data"]["toy"] is True
    assert (info["data"]["train"], info["data"]["validation"]) == (64, 42)
    out = (finished / "out.txt").read_text()
    assert "Done: 6 trials" in out
    assert out.count("trial ") >= 6


def test_a_search_killed_at_every_write_ends_as_one_that_was_not(tiny_space, tmp_path, monkeypatch):
    """A kill before each of the files that a search writes, one after the other, in one search.

    With the tuner whose trials go on from each other; test_unbreakable does it for all four, on made-up trainings.
    """
    import fer_search.files

    options = {"tuner": "hyperband", "max_trials": 4, "max_epochs": 2, "factor": 2}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    assert search(tiny_space, whole, baselines="none", **options) == 0
    real, left = fer_search.files.os.fsync, [1]

    def fsync(handle):
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        real(handle)

    monkeypatch.setattr(fer_search.files.os, "fsync", fsync)
    kills = 0
    for kills in range(200):
        left[0] = 5 + 7 * (kills % 4)  # goes on for a few writes, then dies before one
        try:
            code = search(tiny_space, killed, baselines="none", **options)
        except Killed:
            continue
        assert code == 0
        break
    assert kills > 5
    (trials, oracle), (all_trials, all_oracle) = state(killed / "tiny"), state(whole / "tiny")
    assert oracle == all_oracle
    for name, expected in all_trials.items():
        assert differences(trials[name], expected) == [], name
    assert trials.keys() == all_trials.keys()


def test_a_search_stopped_by_its_user_goes_on(tiny_space, tmp_path, monkeypatch):
    real, count = job_module.train, []

    def interrupted(trial, data, hooks):
        if trial.number == 1 and not count:
            count.append(1)
            progress = hooks.on_progress

            def interrupt(at):
                progress(at)
                if at.epoch == 2:
                    os.kill(os.getpid(), signal.SIGINT)

            hooks.on_progress = interrupt
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", interrupted)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    whole.mkdir()
    stopped.mkdir()
    assert search(tiny_space, stopped, max_trials=2) == 130
    assert json.loads((stopped / "tiny" / "run.json").read_text())["state"] == "interrupted"
    out = (stopped / "out.txt").read_text()
    assert "Stopped: 1 of 2 trials done, nothing lost. Re-run the same command to resume." in out
    assert search(tiny_space, stopped, max_trials=2) == 0
    assert "resuming after epoch 1" in (stopped / "out.txt").read_text()
    assert search(tiny_space, whole, max_trials=2) == 0
    assert state(stopped / "tiny") == state(whole / "tiny")


def test_only_the_best_weights_are_kept(finished):
    scores = {p.parent.name: json.loads(p.read_text())["score"] for p in finished.glob("tiny/trial_*/trial.json")}
    best = sorted(scores, key=lambda name: (-scores[name], name))[:KEPT_WEIGHTS]
    kept = {p.parent.name for p in finished.glob("tiny/trial_*/*.h5")}
    assert len(kept) == KEPT_WEIGHTS
    assert min(scores[name] for name in kept) >= min(scores[name] for name in best)
    for weights in finished.glob("tiny/trial_*/*.h5"):
        with h5py.File(weights) as file:
            assert "optimizer" not in file  # nobody trains on from these
    assert predicted_trial(finished / "tiny") == best[0].removeprefix("trial_")


@pytest.mark.slow
def test_a_process_killed_in_its_second_trial_is_resumed(one_network, tmp_path, faces, monkeypatch):
    """SIGKILL to the real command in a process of its own, then the same command here: all trials, none twice."""
    data = tmp_path / "faces.npz"
    train, test = faces.rows("train"), faces.rows("test")
    arrays = {"x_train": faces.images[train], "y_train": faces.labels[train]}
    np.savez(data, x_test=faces.images[test], y_test=faces.labels[test], **arrays)
    command = [sys.executable, "-m", "fer_search.cli", "run", "--space", str(one_network), "--data", str(data)]
    command += ["--max-trials", "3", "--max-epochs", "3", "--tuner", "random", "--results-dir", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    table = tmp_path / "tiny" / "trial_0001" / "epochs.csv"
    while not table.exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = (tmp_path / "tiny" / "trial_0000" / "trial.json").read_bytes()
    monkeypatch.setattr(sys, "argv", ["fer-search", *command[3:]])
    monkeypatch.setattr(run_module, "load_dataset", load_dataset)  # the real one, as in the killed process
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert (tmp_path / "tiny" / "trial_0000" / "trial.json").read_bytes() == first
    assert [len(read_epochs(p)) for p in sorted(Path(tmp_path).glob("tiny/trial_*/epochs.csv"))] == [3, 3, 3]
