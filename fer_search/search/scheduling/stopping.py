"""Ending a trial before its last epoch, where going on promises nothing.

Both rules see validation accuracies that are on disk, and trials that had ended when this one started: a trial that was
interrupted ends in the same epoch as one that was not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fer_search.runfolder.epochs import read_epochs

FEWEST_TRIALS = 5  # that a median is taken of
FIRST_SHARE = 0.2  # of a trial's epochs, in which no median ends it: early accuracies say little


class EarlyEnd:
    """When a trial ends early.

    Args:
        patience: epochs without a new best accuracy after which it ends; None for never.
        others: validation accuracies, epoch by epoch, of the trials that ended before; empty for no median rule.
        epochs: that the trial has.
    """

    def __init__(self, patience: int | None, others: Sequence[Sequence[float]], epochs: int) -> None:
        self.patience, self.others, self.epochs = patience, [curve for curve in others if curve], epochs

    def reason(self, curve: Sequence[float]) -> str:
        """Return why a trial with these accuracies so far ends now; "" if it goes on."""
        if not curve:
            return ""
        waited = len(curve) - 1 - int(np.argmax(curve))
        if self.patience is not None and waited >= self.patience:
            return f"ended after epoch {len(curve)}: no better for {waited} epochs"
        if len(self.others) < FEWEST_TRIALS or len(curve) <= FIRST_SHARE * self.epochs:
            return ""
        median = float(np.median([max(other[: len(curve)]) for other in self.others]))
        if max(curve) < median:
            return f"ended after epoch {len(curve)}: {max(curve):.3f} is below the median {median:.3f} of those before"
        return ""


class EarlyEndCallback(keras.callbacks.Callback):
    """Ends a training as ``rule`` says of its epochs.csv; ``why`` is then the reason."""

    def __init__(self, rule: EarlyEnd, table: Path) -> None:
        super().__init__()
        self.rule, self.table, self.why = rule, table, ""

    def on_train_begin(self, logs: Any = None) -> None:
        self._look()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._look()

    def _look(self) -> None:
        self.why = self.rule.reason([row["val_accuracy"] for row in read_epochs(self.table)])
        self.model.stop_training = bool(self.why)
