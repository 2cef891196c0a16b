"""Early stopping and median pruning of trials.

Both rules see validation accuracies that are on disk, and only trials that were known when this one began: a trial that
was interrupted ends in the same epoch as one that was not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fer_search.runfolder.epochs import read_epochs

MIN_TRIALS = 5  # curves needed for a median
WARM_UP_FRACTION = 0.2  # of a trial's epochs, during which it is never pruned: early accuracies say little


class StoppingRule:
    """When a trial ends before its last epoch.

    Args:
        patience: Epochs without a new best accuracy after which the trial ends; None for no limit.
        curves: Validation accuracy per epoch of the trials to compare with; empty for no median pruning.
        epochs: Number of epochs of the trial.
    """

    def __init__(self, patience: int | None, curves: Sequence[Sequence[float]], epochs: int) -> None:
        self.patience, self.curves, self.epochs = patience, [curve for curve in curves if curve], epochs

    def reason(self, curve: Sequence[float]) -> str:
        """Return why a trial with these accuracies so far ends now; "" if it continues."""
        if not curve:
            return ""
        waited = len(curve) - 1 - int(np.argmax(curve))
        if self.patience is not None and waited >= self.patience:
            return f"ended after epoch {len(curve)}: no better for {waited} epochs"
        if len(self.curves) < MIN_TRIALS or len(curve) <= WARM_UP_FRACTION * self.epochs:
            return ""
        median = float(np.median([max(other[: len(curve)]) for other in self.curves]))
        if max(curve) < median:
            return f"ended after epoch {len(curve)}: {max(curve):.3f} is below the median {median:.3f} of those before"
        return ""


class StoppingCallback(keras.callbacks.Callback):
    """Ends a training run when ``rule`` says so; ``why`` is then the reason.

    Args:
        rule: When to stop.
        table: The trial's epochs.csv, read at the start and after each epoch.
    """

    def __init__(self, rule: StoppingRule, table: Path) -> None:
        super().__init__()
        self.rule, self.table, self.why = rule, table, ""

    def on_train_begin(self, logs: Any = None) -> None:
        self._check()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._check()

    def _check(self) -> None:
        self.why = self.rule.reason([row["val_accuracy"] for row in read_epochs(self.table)])
        self.model.stop_training = bool(self.why)
