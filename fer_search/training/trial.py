"""One trial: a design trained for some epochs in a folder, resumable at any time."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import random as python_random
from collections.abc import Iterator

import keras

from fer_search.data.spec import DataSpec
from fer_search.models import build_model
from fer_search.models.precision import dtype_policy
from fer_search.runfolder.epochs import Row, read_epochs, rewrite_epochs
from fer_search.training import rng
from fer_search.training.callbacks import Callbacks
from fer_search.training.checkpoint import checkpoint_path, checkpointed_epochs, load_checkpoint
from fer_search.training.checkpoint_writer import CheckpointWriter
from fer_search.training.ema import ema_weights
from fer_search.training.engines import device_scope, reset_keras
from fer_search.training.loop import EpochLoop
from fer_search.training.mid_epoch import load_mid_epoch, mid_epoch_number
from fer_search.training.precision import resolve_precision
from fer_search.training.types import Progress, Stopped, Trial, TrialData, TrialFailed, TrialHooks

__all__ = [
    "Progress",
    "Stopped",
    "Trial",
    "TrialData",
    "TrialFailed",
    "TrialHooks",
    "completed_epochs",
    "train",
    "trained_model",
]


def train(trial: Trial, data: TrialData, hooks: TrialHooks | None = None) -> list[Row]:
    """Train a trial from the state of its folder to its last epoch.

    Args:
        trial: The trial; its folder must exist.
        data: Training and validation data.
        hooks: Callables that follow and stop the trial.

    Returns:
        The rows of the trial's own epochs, in order, as in its epochs.csv; fewer if a Keras callback ended the
        training.

    Raises:
        TrialFailed: A loss is not finite.
        Stopped: ``hooks.should_stop`` returned True.
        UserError: Pretrained weights are required but unavailable.
    """
    reset_keras()
    try:
        with device_scope(trial.devices):
            return _train(trial, data, hooks or TrialHooks())
    finally:
        _release_models()


def _train(trial: Trial, data: TrialData, hooks: TrialHooks) -> list[Row]:
    rows, table = completed_epochs(trial), trial.folder / "epochs.csv"
    if table.exists():
        rewrite_epochs(table, rows)  # drops rows of later epochs that a kill left behind
    model = _build(trial, data.spec, pretrained=not rows and trial.parent is None)
    hooks.on_model_built(model)
    _load(trial, model, rows)
    callbacks = Callbacks(hooks.callbacks, model, trial.epochs, rows)
    writer = CheckpointWriter(trial, model, rows)
    loop = EpochLoop(trial, data, model, hooks, writer.flush_best)
    for epoch in range(len(trial.history) + len(rows) + 1, trial.epochs + 1):
        if callbacks.stopping:
            break
        callbacks.begin(epoch)
        row = loop.run_epoch(epoch, _val_losses(trial, rows))
        rows.append(row)
        writer.record(row)
        hooks.on_epoch_end(row)
        callbacks.end(row)
    writer.finish()
    callbacks.finish(rows[-1] if rows else None)
    return rows


@contextlib.contextmanager
def trained_model(trial: Trial, spec: DataSpec) -> Iterator[keras.Model]:
    """Yield the model of a completely trained trial as it predicts, that is with EMA weights if the design uses EMA.

    Args:
        trial: The trial.
        spec: Image size, channels and classes of its data.
    """
    reset_keras()
    model = _build(trial, spec, pretrained=False)
    load_checkpoint(model, trial.folder, trial.epochs)
    with ema_weights(model):
        yield model
    _release_models()


def completed_epochs(trial: Trial) -> list[Row]:
    """Return the rows of the epochs after which training would resume; epochs.csv may hold later ones.

    A saved mid-epoch state counts as a checkpoint of the epoch before it.
    """
    rows, inherited = read_epochs(trial.folder / "epochs.csv"), len(trial.history)
    saved = [*checkpointed_epochs(trial.folder), mid_epoch_number(trial.folder) - 1]
    last = max((epoch for epoch in saved if inherited < epoch <= inherited + len(rows)), default=inherited)
    return rows[: last - inherited]


def _val_losses(trial: Trial, rows: list[Row]) -> list[float]:
    """Return the validation loss of each epoch so far, for the learning-rate schedule."""
    measured = [row["val_loss"] for row in trial.history + rows]
    given = trial.schedule_losses or ()
    return [*given[: len(measured)], *measured[len(given) :]]


def _build(trial: Trial, spec: DataSpec, pretrained: bool) -> keras.Model:
    # Keras takes all its seeds from here; its own set_random_seed imports TensorFlow even on JAX (2 s and 300 MB).
    python_random.seed(rng.integer_seed(rng.WEIGHTS, trial.seed, trial.number))
    with dtype_policy(resolve_precision(trial.design.optimisation.precision)):
        return build_model(trial.design, trial.weights_dir, pretrained, spec)


def _load(trial: Trial, model: keras.Model, rows: list[Row]) -> None:
    """Load the state after the last completed epoch, of this trial or of its parent."""
    if rows and checkpoint_path(trial.folder, last := int(rows[-1]["epoch"])).exists():
        load_checkpoint(model, trial.folder, last)
    elif rows:
        load_mid_epoch(model, trial.folder, last + 1)
    elif trial.parent is not None:
        load_checkpoint(model, trial.parent, len(trial.history))


def _release_models() -> None:
    """Free the memory of earlier trials' models, whose graphs contain reference cycles.

    With glibc also return it to the operating system: otherwise it keeps about a megabyte per trial, and a hundred from
    the first ones.
    """
    reset_keras()
    gc.collect()
    with contextlib.suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
