"""A finished run of the tiny space on a handful of toy faces, one of which is in train and in test."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
from once import make_once
from rich.console import Console

from fer_search.confirm import job as job_module
from fer_search.confirm import network
from fer_search.confirm.run import run_confirm
from fer_search.confirm.settings import Settings
from fer_search.data.dataset import SPLITS
from fer_search.runfolder import dataset
from fer_search.runfolder.epochs import read_epochs, rewrite_epochs
from fer_search.search import opening
from fer_search.search import run as run_module
from fer_search.search.display import Lines
from fer_search.search.settings import Settings as SearchSettings
from fer_search.training.trial import Stopped

EMPTY_ZIP = b"PK\x05\x06".ljust(22, b"\0")

SPACE = """
from fer_search.design import Design, Optimisation, Residual

def design(hp):
    return Design(network=Residual(stages=((4,), (4,)), downsample=hp.Choice("downsample", ["strided", "max_pool"])),
                  optimisation=Optimisation(batch_size=32, schedule=hp.Choice("schedule", ["plateau", "cosine"])))

baselines = {"plain": {}, "pooled": {"downsample": "max_pool", "schedule": "cosine"}}
"""


@pytest.fixture(scope="session")
def copied(faces):
    """The toy faces, public and private test told apart, the first public one a copy of a training image."""
    images, splits = faces.images.copy(), faces.splits.copy()
    test = np.flatnonzero(splits == SPLITS.index("test"))
    splits[test[::2]], splits[test[1::2]] = SPLITS.index("public_test"), SPLITS.index("private_test")
    images[test[0]] = images[np.flatnonzero(splits == SPLITS.index("train"))[0]]
    return dataclasses.replace(faces, images=images, splits=splits)


@pytest.fixture(scope="session")
def finished(copied, tmp_path_factory):
    """The run: two baselines, each trained twice, for two epochs."""

    def search(folder):
        (folder / "small.py").write_text(SPACE)
        with pytest.MonkeyPatch.context() as patch, (folder / "out.txt").open("w") as out:
            patch.setattr(run_module, "load_dataset", lambda source, **options: copied)
            patch.setattr(opening, "estimate_search", lambda *arguments: (40.0, 80.0))
            settings = SearchSettings(
                folder / "small.py", results_dir=folder, baselines="only", repeats=2, max_epochs=2
            )
            assert run_module.run_search(settings, Lines(Console(file=out))) == 0

    return make_once(tmp_path_factory, "finished", search) / "small"


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the run."""
    return shutil.copytree(finished, tmp_path / "small")


@pytest.fixture
def set_seconds(run):
    """Let all epochs of the run have taken as long."""

    def set_seconds(seconds):
        for table in run.glob("trial_*/epochs.csv"):
            rewrite_epochs(table, [row | {"seconds": seconds} for row in read_epochs(table)])

    return set_seconds


@pytest.fixture
def confirm(run, copied, monkeypatch):
    """Confirm the run; gives the exit code."""
    monkeypatch.setattr(dataset, "load_dataset", lambda source, **options: copied)

    def confirm(**options):
        with (run.parent / "out.txt").open("a") as out:
            return run_confirm(Settings(run, **options), Console(file=out, width=200))

    return confirm


@pytest.fixture
def made_up(monkeypatch, copied):
    """Trainings in a moment: probabilities follow from the training's number."""
    test = int((copied.splits != 0).sum())

    def train(trial, data, hooks):
        rows = [{"epoch": e, "accuracy": 0.5, "seconds": 1.0} for e in range(1, trial.epochs + 1)]
        if hooks.should_stop():
            raise Stopped
        for row in rows:
            hooks.on_epoch_end(row)
        return rows

    def save_and_predict(trial, spec, run, description, images):
        network.write_atomic(trial.folder / "model.keras", lambda path: path.write_bytes(EMPTY_ZIP))
        return np.random.default_rng(trial.number).dirichlet(np.ones(7), test).astype(np.float32)

    for name, fake in (("train", train), ("save_and_predict", save_and_predict)):
        monkeypatch.setattr(job_module, name, fake)
