"""Decides which epochs get a checkpoint: every one or, where epochs are short, as many as cost little time.

Writing a checkpoint takes from a tenth of a second to seconds, which can be as long as an epoch of a small network on a
GPU. The next one is therefore delayed until ``MIN_TRAIN_WRITE_RATIO`` times the duration of the last write has been
spent on training. That bounds both the overhead and what a kill can cost: at most a minute of training, or one epoch
where that is longer. Rows of epochs.csv beyond the last checkpoint are dropped on resume, and their epochs repeated
with the same random numbers.
"""

from __future__ import annotations

import time

import keras
import numpy as np

from fer_search.runfolder.epochs import Row, append_epoch
from fer_search.runfolder.schema import MID_EPOCH_FILE
from fer_search.training.checkpoint import link_best, remove_other_checkpoints, save_best, save_checkpoint
from fer_search.training.ema import ema_weights
from fer_search.training.types import Trial

MIN_TRAIN_WRITE_RATIO = 30.0  # training time between checkpoints, in write times: an overhead of 3%
MAX_INTERVAL = 60.0  # seconds of training between checkpoints


class CheckpointWriter:
    """Writes rows, checkpoints and best weights of a trial to its folder.

    The first epoch after every start gets a checkpoint.

    Args:
        trial: The trial.
        model: Compiled model in training.
        rows: Rows of the completed epochs.
    """

    def __init__(self, trial: Trial, model: keras.Model, rows: list[Row]) -> None:
        self.trial, self.model = trial, model
        self.best = max(map(trial.objective.gain, rows), default=float("-inf"))
        self.unsaved_best: list[np.ndarray] | None = None  # best weights of an epoch without a checkpoint
        self.saved_epoch = int(rows[-1]["epoch"]) if rows else 0
        self.last_epoch = self.saved_epoch
        self.write_seconds, self.last_write = 0.0, time.perf_counter()

    def record(self, row: Row) -> None:
        """Record a completed epoch; the order of the writes matters (see ``fer_search.training.checkpoint``)."""
        self.last_epoch = int(row["epoch"])
        improved = (gain := self.trial.objective.gain(row)) > self.best
        self.best = max(self.best, gain)
        elapsed = time.perf_counter() - self.last_write
        if self.last_epoch < self.trial.epochs and elapsed < self._interval():
            if improved:
                with ema_weights(self.model):
                    self.unsaved_best = _get_values(self.model)
        else:
            self._write(improved)
        append_epoch(self.trial.folder / "epochs.csv", row)
        if self.saved_epoch == self.last_epoch:
            remove_other_checkpoints(self.trial.folder, (self.last_epoch,))

    def finish(self) -> None:
        """Leave only the last epoch's checkpoint; write it first if a callback ended the training without one."""
        if self.saved_epoch < self.last_epoch:
            self._write(False)
        if self.last_epoch:
            remove_other_checkpoints(self.trial.folder, (self.last_epoch,))

    def flush_best(self) -> None:
        """Write the best weights if they are only in memory."""
        if self.unsaved_best is None:
            return
        current = _get_values(self.model)
        _set_values(self.model, self.unsaved_best)
        save_best(self.model, self.trial.folder, self.trial.label("best"))
        _set_values(self.model, current)
        self.unsaved_best = None

    def _interval(self) -> float:
        return min(MIN_TRAIN_WRITE_RATIO * self.write_seconds, MAX_INTERVAL)

    def _write(self, improved: bool) -> None:
        started = time.perf_counter()
        (self.trial.folder / MID_EPOCH_FILE).unlink(missing_ok=True)  # first, to free its disk space
        if improved:
            self.unsaved_best = None
        self.flush_best()  # before the checkpoint, whose room on the disk it may need
        save_checkpoint(self.model, self.trial.folder, self.last_epoch, self.trial.label(self.last_epoch))
        if improved:
            link_best(self.trial.folder, self.last_epoch, self.model, self.trial.label("best"))
        self.saved_epoch, self.last_write = self.last_epoch, time.perf_counter()
        self.write_seconds = self.last_write - started


def _get_values(model: keras.Model) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.weights]


def _set_values(model: keras.Model, values: list[np.ndarray]) -> None:
    for variable, value in zip(model.weights, values, strict=True):
        variable.assign(value)
