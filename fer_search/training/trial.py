"""One trial: a Design trained for some epochs, in a folder from which it can always go on."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import random as python_random
from collections.abc import Iterator

import keras

from fer_search.models import build_model
from fer_search.runfolder.epochs import Row, read_epochs, rewrite_epochs
from fer_search.training import rng
from fer_search.training.callbacks import Callbacks
from fer_search.training.checkpoint import checkpoint_path, checkpointed_epochs, load_checkpoint
from fer_search.training.checkpoint_writer import Keeper
from fer_search.training.ema import averaged
from fer_search.training.engine import on_devices
from fer_search.training.loop import Loop
from fer_search.training.mid_epoch import load_partial, partial_epoch
from fer_search.training.precision import dtype_policy
from fer_search.training.types import Progress, Stopped, Trial, TrialData, TrialFailed, Watcher

__all__ = [
    "Progress",
    "Stopped",
    "Trial",
    "TrialData",
    "TrialFailed",
    "Watcher",
    "train",
    "trained_model",
    "whole_epochs",
]


def train(trial: Trial, data: TrialData, watcher: Watcher | None = None) -> list[Row]:
    """Train a trial from where its folder is to its last epoch.

    Args:
        trial: what to train; its folder must exist.
        data: what to train and validate on.
        watcher: see there.

    Returns:
        The rows of its own epochs, first to last, as in its epochs.csv; fewer where a Keras callback ended the
        training.

    Raises:
        TrialFailed: the loss is not a number.
        Stopped: ``watcher.stop`` said so.
        UserError: pretrained weights are wanted and cannot be had.
    """
    _forget_other_models()
    try:
        with on_devices(trial.devices):
            return _train(trial, data, watcher or Watcher())
    finally:
        _forget_other_models()


def _train(trial: Trial, data: TrialData, watcher: Watcher) -> list[Row]:
    rows, table = whole_epochs(trial), trial.folder / "epochs.csv"
    if table.exists():
        rewrite_epochs(table, rows)  # without what a kill left of later ones
    model = _build(trial, pretrained=not rows and trial.parent is None)
    watcher.built(model)
    _load(trial, model, rows)
    callbacks = Callbacks(watcher.callbacks, model, trial.epochs, rows)
    keeper = Keeper(trial, model, rows)
    loop = Loop(trial, data, model, watcher, keeper.keep_best)
    for epoch in range(len(trial.history) + len(rows) + 1, trial.epochs + 1):
        if callbacks.stopping:
            break
        callbacks.begin(epoch)
        row = loop.run_epoch(epoch, _val_losses(trial, rows))
        rows.append(row)
        keeper.keep(row)
        watcher.epoch(row)
        callbacks.end(row)
    keeper.finish()
    callbacks.finish(rows[-1] if rows else None)
    return rows


@contextlib.contextmanager
def trained_model(trial: Trial) -> Iterator[keras.Model]:
    """Give the model of a trial that was trained to its last epoch, as it predicts: averages where it keeps any."""
    _forget_other_models()
    model = _build(trial, pretrained=False)
    load_checkpoint(model, trial.folder, trial.epochs)
    with averaged(model):
        yield model
    _forget_other_models()


def _val_losses(trial: Trial, rows: list[Row]) -> list[float]:
    """Return the validation loss of each epoch so far, as the schedule is to know it."""
    own = [row["val_loss"] for row in trial.history + rows]
    given = trial.schedule_losses or ()
    return [*given[: len(own)], *own[len(given) :]]


def _build(trial: Trial, pretrained: bool) -> keras.Model:
    # All that Keras takes seeds from; its own set_random_seed imports TensorFlow on JAX too, two seconds and 300 MB.
    python_random.seed(rng.whole_number(rng.WEIGHTS, trial.seed, trial.number))
    with dtype_policy(trial.design.optimisation.precision):
        return build_model(trial.design, trial.weights_dir, pretrained)


def _forget_other_models() -> None:
    """Give back what models of earlier trials hold; their graphs refer to each other in circles.

    To the system too, where it is glibc: left to itself it keeps a megabyte a trial, and a hundred from the first ones.
    """
    keras.utils.clear_session(free_memory=False)
    gc.collect()
    with contextlib.suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def whole_epochs(trial: Trial) -> list[Row]:
    """Return the rows of the epochs after which a training would go on; epochs.csv may hold later ones.

    What is kept of an epoch's middle stands for a checkpoint of the epoch before it.
    """
    rows, before = read_epochs(trial.folder / "epochs.csv"), len(trial.history)
    known = [*checkpointed_epochs(trial.folder), partial_epoch(trial.folder) - 1]
    whole = max((epoch for epoch in known if before < epoch <= before + len(rows)), default=before)
    return rows[: whole - before]


def _load(trial: Trial, model: keras.Model, rows: list[Row]) -> None:
    """Put a model into the state after the last whole epoch, of this trial or of its parent."""
    if rows and checkpoint_path(trial.folder, last := int(rows[-1]["epoch"])).exists():
        load_checkpoint(model, trial.folder, last)
    elif rows:
        load_partial(model, trial.folder, last + 1)
    elif trial.parent is not None:
        load_checkpoint(model, trial.parent, len(trial.history))
