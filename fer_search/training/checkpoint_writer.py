"""Writes what a training needs to go on: after every epoch, or, where epochs are short, as often as it costs little.

Writing a checkpoint takes from a tenth of a second to seconds, as long as an epoch of a small network on a GPU. So it
waits until at least ``WAIT`` times what the last one took has been spent on training, which bounds both its cost and
what a kill can cost: training of a minute at most, or one epoch where that is longer. Rows of epochs.csv beyond the
last checkpoint are taken away by the next start, and their epochs done again, with the same random numbers.
"""

from __future__ import annotations

import time

import keras
import numpy as np

from fer_search.runfolder.epochs import Row, append_epoch
from fer_search.training.checkpoint import keep_only, mark_best, save_best, save_checkpoint
from fer_search.training.ema import averaged
from fer_search.training.mid_epoch import PARTIAL
from fer_search.training.types import Trial

WAIT = 30.0  # times what a checkpoint took, until the next one: 3% of the time
LONGEST = 60.0  # seconds


class Keeper:
    """Keeps a trial's epochs in its folder.

    The first epoch of every start gets a checkpoint.

    Args:
        trial: whose folder it is.
        model: compiled, the one that is trained.
        rows: of the epochs before.
    """

    def __init__(self, trial: Trial, model: keras.Model, rows: list[Row]) -> None:
        self.trial, self.model = trial, model
        self.best = max((row["val_accuracy"] for row in rows), default=-1.0)
        self.best_weights: list[np.ndarray] | None = None  # of an epoch without a checkpoint, not on disk yet
        self.kept = int(rows[-1]["epoch"]) if rows else 0
        self.last = self.kept
        self.took, self.since = 0.0, time.perf_counter()

    def keep(self, row: Row) -> None:
        """Record an epoch that ended; the order matters (see ``fer_search.training.checkpoint``)."""
        self.last = int(row["epoch"])
        better, self.best = row["val_accuracy"] > self.best, max(self.best, row["val_accuracy"])
        waited = time.perf_counter() - self.since
        if self.last < self.trial.epochs and waited < min(WAIT * self.took, LONGEST):
            if better:
                with averaged(self.model):
                    self.best_weights = _values(self.model)
        else:
            self._write(better)
        append_epoch(self.trial.folder / "epochs.csv", row)
        if self.kept == self.last:
            keep_only(self.trial.folder, (self.last,))

    def finish(self) -> None:
        """Leave the last epoch's checkpoint alone; write it, if a callback ended the training after one without."""
        if self.kept < self.last:
            self._write(False)
        if self.last:
            keep_only(self.trial.folder, (self.last,))

    def keep_best(self) -> None:
        """Write the best weights, if they are in memory alone."""
        if self.best_weights is None:
            return
        now = _values(self.model)
        _assign(self.model, self.best_weights)
        save_best(self.model, self.trial.folder)
        _assign(self.model, now)
        self.best_weights = None

    def _write(self, better: bool) -> None:
        began = time.perf_counter()
        (self.trial.folder / PARTIAL).unlink(missing_ok=True)  # first, for its room
        if better:
            self.best_weights = None
        self.keep_best()  # before the checkpoint, for its room
        save_checkpoint(self.model, self.trial.folder, self.last)
        if better:
            mark_best(self.trial.folder, self.last, self.model)
        self.kept, self.since = self.last, time.perf_counter()
        self.took = self.since - began


def _values(model: keras.Model) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.weights]


def _assign(model: keras.Model, values: list[np.ndarray]) -> None:
    for variable, value in zip(model.weights, values, strict=True):
        variable.assign(value)
