"""One trial: a Design trained for some epochs, in a folder from which it can always go on."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import random as python_random
from collections.abc import Iterator

import keras

from fer_search.models import build_model
from fer_search.training import random
from fer_search.training.averages import averaged
from fer_search.training.callbacks import Callbacks
from fer_search.training.checkpoint import (
    checkpointed_epochs,
    keep_only,
    load_checkpoint,
    mark_best,
    save_checkpoint,
)
from fer_search.training.engine import on_devices
from fer_search.training.epochs import Row, append_epoch, read_epochs, rewrite_epochs
from fer_search.training.loop import Loop
from fer_search.training.partial import PARTIAL
from fer_search.training.precision import dtype_policy
from fer_search.training.task import Progress, Stopped, Trial, TrialData, TrialFailed, Watcher

__all__ = ["Progress", "Stopped", "Trial", "TrialData", "TrialFailed", "Watcher", "train", "trained_model"]


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
    rows = _whole_epochs(trial)
    model = _build(trial, pretrained=not rows and trial.parent is None)
    watcher.built(model)
    _load(trial, model, rows)
    callbacks = Callbacks(watcher.callbacks, model, trial.epochs, rows)
    loop = Loop(trial, data, model, watcher)
    for epoch in range(len(trial.history) + len(rows) + 1, trial.epochs + 1):
        if callbacks.stopping:
            break
        callbacks.begin(epoch)
        row = loop.run_epoch(epoch, _val_losses(trial, rows))
        rows.append(row)
        _keep(trial, model, rows)
        watcher.epoch(row)
        callbacks.end(row)
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
    python_random.seed(random.whole_number(random.WEIGHTS, trial.seed, trial.number))
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


def _whole_epochs(trial: Trial) -> list[Row]:
    """Return the rows of the epochs that are whole, and take away what a kill left of a later one."""
    table = trial.folder / "epochs.csv"
    rows, before = read_epochs(table), len(trial.history)
    whole = [e for e in checkpointed_epochs(trial.folder) if e <= before + len(rows)]
    kept = rows[: (whole[-1] if whole else before) - before]
    if table.exists():
        rewrite_epochs(table, kept)
    return kept


def _load(trial: Trial, model: keras.Model, rows: list[Row]) -> None:
    """Put a model into the state after the last whole epoch, of this trial or of its parent."""
    if rows:
        load_checkpoint(model, trial.folder, int(rows[-1]["epoch"]))
    elif trial.parent is not None:
        load_checkpoint(model, trial.parent, len(trial.history))


def _keep(trial: Trial, model: keras.Model, rows: list[Row]) -> None:
    """Record an epoch that ended; the order matters (see ``fer_search.training.checkpoint``)."""
    epoch = int(rows[-1]["epoch"])
    (trial.folder / PARTIAL).unlink(missing_ok=True)  # first, for its room
    save_checkpoint(model, trial.folder, epoch)
    if rows[-1]["val_accuracy"] > max((row["val_accuracy"] for row in rows[:-1]), default=-1.0):
        mark_best(trial.folder, epoch, model)
    append_epoch(trial.folder / "epochs.csv", rows[-1])
    keep_only(trial.folder, (epoch,))
