"""Searches in moments: the toy faces, and a training that makes its accuracies up."""

from __future__ import annotations

import hashlib
import os
from types import SimpleNamespace

import pytest
from rich.console import Console

from fer_search.data.split import make_split
from fer_search.files import write_atomic
from fer_search.runfolder.epochs import METRIC_COLUMNS, append_epoch, read_epochs, rewrite_epochs
from fer_search.runfolder.json_files import read_json
from fer_search.runfolder.schema import MID_EPOCH_FILE
from fer_search.runfolder.seal import HDF5_SIGNATURE, make_seal
from fer_search.search import opening
from fer_search.search import run as run_module
from fer_search.search.display import Lines
from fer_search.search.executors import here
from fer_search.search.executors import job as job_module
from fer_search.search.settings import Settings
from fer_search.search.trials import pretrained
from fer_search.space import load_space
from fer_search.training.checkpoint import checkpoint_path, checkpointed_epochs, link_best, remove_other_checkpoints
from fer_search.training.trial import Progress, Stopped

CHECKPOINT_BYTES = 1008


def write_state(path, state, label):
    """Write what stands for a checkpoint, sealed; a large one has its size on paper only, and no seal."""
    content = (HDF5_SIGNATURE.ljust(40, b"\0") + CHECKPOINT_BYTES.to_bytes(8, "little")) + state.encode() + b"\n"
    if CHECKPOINT_BYTES < 10_000:
        content = content.ljust(CHECKPOINT_BYTES, b"\0")
        path.write_bytes(content + make_seal(label)(memoryview(content)))
    else:
        path.write_bytes(content)
        os.truncate(path, CHECKPOINT_BYTES)


def read_state(path):
    with path.open("rb") as file:
        return file.read(148)[48:].split(b"\n")[0].decode()


def fake_train(trial, data, hooks):
    """Do to the folder what ``train`` does; every number follows from seed, trial and epoch."""
    table, before = trial.folder / "epochs.csv", len(trial.history)
    rows = read_epochs(table)
    whole = [e for e in checkpointed_epochs(trial.folder) if e <= before + len(rows)]
    rows = rows[: (whole[-1] if whole else before) - before]
    if table.exists():
        rewrite_epochs(table, rows)
    start = (trial.folder, before + len(rows)) if rows else (trial.parent, before)
    state = read_state(checkpoint_path(*start)) if rows or trial.parent else f"{trial.seed} {trial.number}"
    model = SimpleNamespace(stop_training=False, optimizer=SimpleNamespace(use_ema=False))
    for callback in hooks.callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(before + len(rows) + 1, trial.epochs + 1):
        if model.stop_training:
            break
        state = hashlib.sha256(f"{state} {epoch}".encode()).hexdigest()
        hooks.on_progress(Progress(epoch, 1, 1, 1.0, 0.5))
        if hooks.should_stop():
            raise Stopped
        value = int(state[:8], 16) / 2**32
        row = dict.fromkeys(METRIC_COLUMNS, value) | {"epoch": epoch, "seconds": 0.1}
        (trial.folder / MID_EPOCH_FILE).unlink(missing_ok=True)
        write_atomic(
            checkpoint_path(trial.folder, epoch), lambda p, s=state, e=epoch: write_state(p, s, trial.label(e))
        )
        if value > max((r["val_accuracy"] for r in rows), default=-1):
            link_best(trial.folder, epoch, model)
        append_epoch(table, row)
        rows.append(row)
        remove_other_checkpoints(trial.folder, (epoch,))
        hooks.on_epoch_end(row)
        for callback in hooks.callbacks:
            callback.on_epoch_end(epoch - 1, row)
    return rows


_spaces = {}


def load_space_once(path, *options):
    """Do what ``load_space`` does, which depends on the file and the options alone, once for all starts of a search."""
    key = (path, path.read_bytes() if path.is_file() else None, repr(options))
    if key not in _spaces:
        space = load_space(path, *options)
        if space.modules:  # which may change while the file does not
            return space
        _spaces[key] = space
    return _spaces[key]


_resolved = {}


def resolve_once(space, settings):
    """Do what ``resolve_missing_weights`` does, once for all starts of a search where nothing is missing."""
    key = (space, settings.missing_weights, settings.weights_dir)
    if key not in _resolved:
        found = pretrained.resolve_missing_weights(space, settings)
        if found != (space, []):
            return found
        _resolved[key] = found
    return _resolved[key]


_splits = {}


def split_once(dataset, **options):
    """Do what ``make_split`` does, which depends on its arguments alone, once for all searches of such a data set."""
    key = (dataset.fingerprint, *options.items())
    if key not in _splits:
        _splits[key] = make_split(dataset, **options)
    return _splits[key]


@pytest.fixture
def made_up(monkeypatch, faces):
    """Make searches train nothing."""
    monkeypatch.setattr(run_module, "load_dataset", lambda source, **options: faces)
    monkeypatch.setattr(run_module, "load_space", load_space_once)
    monkeypatch.setattr(run_module, "resolve_missing_weights", resolve_once)
    monkeypatch.setattr(run_module, "make_split", split_once)
    monkeypatch.setattr(opening, "estimate_search", lambda *arguments: (40.0, 80.0))
    monkeypatch.setattr(here, "store_predictions", lambda *arguments: None)
    monkeypatch.setattr(pretrained, "SAMPLES", 10)  # designs looked through for backbones, of which there are none
    monkeypatch.setattr(job_module, "train", fake_train)


@pytest.fixture
def search(made_up, tiny_space):
    """Run a search of the tiny space; gives the exit code. What it printed is in out.txt."""

    def run(folder, space=tiny_space, **options):
        folder.mkdir(exist_ok=True)
        given = {"max_trials": 4, "max_epochs": 3, "limit_train": 64, "tuner": "random", "min_steps": 0} | options
        with (folder / "out.txt").open("a") as out:
            return run_module.run_search(
                Settings(space, results_dir=folder, **given), Lines(Console(file=out, width=200))
            )

    return run


@pytest.fixture
def state():
    """Give all that a search computed; times left out."""

    def read(run):
        trials = {}
        for folder in sorted(run.glob("trial_*")):
            trial = read_json(folder / "trial.json")
            trial["metrics"]["metrics"].pop("seconds", None)
            rows = [{k: v for k, v in row.items() if k != "seconds"} for row in read_epochs(folder / "epochs.csv")]
            files = {path.name: path.read_bytes() for path in folder.glob("*.h5")}
            left = sorted(path.name for path in folder.iterdir() if not path.name.startswith("broken-"))
            trials[folder.name] = (trial, rows, read_json(folder / "design.json"), files, left)
        oracle = read_json(run / "oracle.json")
        return trials, {key: value for key, value in oracle.items() if key != "display"}

    return read
