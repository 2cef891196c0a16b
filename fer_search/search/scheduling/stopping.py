"""Early stopping and median pruning of trials.

Both rules see objective values that are on disk, and only trials that were known when this one began: a trial that
was interrupted ends in the same epoch as one that was not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fer_search.runfolder.epochs import Row, read_epochs
from fer_search.runfolder.objective import ACCURACY, Objective
from fer_search.search.display.formatting import plural

MIN_TRIALS = 5  # curves needed for a median
WARM_UP_FRACTION = 0.2  # of a trial's epochs, during which it is never pruned: early accuracies say little


class StoppingRule:
    """When a trial ends before its last epoch.

    Args:
        patience: Epochs without a new best value after which the trial ends; None for no limit.
        curves: Objective per epoch of the trials to compare with; empty for no median pruning.
        epochs: Number of epochs of the trial.
        objective: Its name and direction.
    """

    def __init__(
        self,
        patience: int | None,
        curves: Sequence[Sequence[float]],
        epochs: int,
        objective: Objective = ACCURACY,
    ) -> None:
        self.objective = objective
        self.patience, self.curves, self.epochs = patience, [curve for curve in curves if curve], epochs

    def reason(self, curve: Sequence[float]) -> str:
        """Return why a trial with these values so far ends now; "" if it continues."""
        if not curve:
            return ""
        sign = self.objective.sign
        waited = len(curve) - 1 - int(np.argmax(np.multiply(sign, curve)))
        if self.patience is not None and waited >= self.patience:
            return f"ended after epoch {len(curve)}: no better for {plural(waited, 'epoch')}"
        if len(self.curves) < MIN_TRIALS or len(curve) <= WARM_UP_FRACTION * self.epochs:
            return ""
        pick = max if sign > 0 else min
        median, best = float(np.median([pick(other[: len(curve)]) for other in self.curves])), pick(curve)
        if sign * best < sign * median:
            side = "below" if sign > 0 else "above"
            return f"ended after epoch {len(curve)}: {best:.3f} is {side} the median {median:.3f} of those before"
        return ""


class StoppingCallback(keras.callbacks.Callback):
    """Ends a training run when ``rule`` says so; ``why`` is then the reason.

    Args:
        rule: When to stop.
        table: The trial's epochs.csv, read at the start and after each epoch.
        history: Rows of the trials that it continues.
    """

    def __init__(self, rule: StoppingRule, table: Path, history: Sequence[Row] = ()) -> None:
        super().__init__()
        self.rule, self.table, self.history, self.why = rule, table, history, ""

    def on_train_begin(self, logs: Any = None) -> None:
        self._check()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._check()

    def _check(self) -> None:
        own = read_epochs(self.table)
        curve = [row[self.rule.objective.name] for row in (*self.history, *own)]
        self.why = self.rule.reason(curve) if own else ""  # a trial has one epoch of its own at least
        self.model.stop_training = bool(self.why)
