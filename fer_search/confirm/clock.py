"""The remaining time of a confirmation, by the seconds that the search's own epochs took."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fer_search.confirm.candidates import Candidate
from fer_search.errors import UserError
from fer_search.runfolder.epochs import Row, read_epochs
from fer_search.runfolder.schema import EPOCHS_FILE


def expected_seconds(candidate: Candidate, curves: pd.DataFrame, growth: float) -> np.ndarray:
    """Return the expected seconds of each epoch of a training, float64 (epochs,).

    An epoch takes as long as the one at the same point of the trial, so that epochs at low resolution are told apart
    from those at full resolution. The first one, which includes compilation, counts as much as the second.

    Args:
        candidate: Design to confirm.
        curves: Epochs of the search: columns trial, epoch and seconds, from ``load_epochs``.
        growth: Training images of the confirmation, as a multiple of those of the search.
    """
    rows = curves[curves["trial"] == candidate.trial]
    seconds, trained = rows["seconds"].to_numpy(float), rows["epoch"].to_numpy(float)
    seconds = np.concatenate([seconds[1:2], seconds[1:]]) if len(seconds) > 1 else seconds
    # With a horizon the resolution changes at the search's epoch, else at the same fraction of the epochs.
    epochs = np.arange(1, candidate.epochs + 1)
    points = epochs if candidate.horizon else epochs * trained[-1] / candidate.epochs
    return growth * seconds[np.minimum(np.searchsorted(trained, points), len(seconds) - 1)]


def trained_epochs(folder: Path) -> int:
    """Return the number of epochs in a training's folder; 0 if its table is damaged, which is repaired later."""
    try:
        return len(read_epochs(folder / EPOCHS_FILE))
    except UserError:
        return 0


class Clock:
    """Knows the expected seconds of every epoch, and by how much the measured ones differ.

    Args:
        expected: Expected seconds of each epoch of each training, float (epochs,) each, in the order of starting.
        done: Number of epochs of each training that earlier starts trained.
        workers: Number of workers of the search.

    Attributes:
        slots: Number of trainings at the same time.
    """

    def __init__(self, expected: Sequence[np.ndarray], done: Sequence[int], workers: int = 1) -> None:
        self.expected, self.workers, self.slots = expected, workers, 1
        self.done = [float(epochs) for epochs in done]
        self._seen = self._foreseen = 0.0  # seconds of the epochs of this start, measured and expected

    def progress(self, number: int, epochs: float) -> None:
        """A training has trained so many epochs, the last one in part."""
        self.done[number] = epochs

    def end_epoch(self, number: int, row: Row) -> None:
        """An epoch was trained."""
        epoch = int(row["epoch"])
        self.done[number] = epoch
        self._seen += row["seconds"]
        self._foreseen += float(self.expected[number][epoch - 1])

    def end_training(self, number: int) -> None:
        """A training completed or failed."""
        self.done[number] = len(self.expected[number])

    @property
    def total(self) -> float:
        """Expected seconds of all trainings, one after another."""
        return sum(float(seconds.sum()) for seconds in self.expected)

    @property
    def trained(self) -> float:
        """Expected seconds of what is trained."""
        return self.total - sum(self._work_left())

    def left(self) -> float:
        """Return the seconds until all is trained.

        Before an epoch was measured, workers beyond those of the search are taken to gain nothing: they may share what
        the search's workers had for themselves.
        """
        free_at = [0.0] * self.slots
        for seconds in self._work_left():
            heapq.heappush(free_at, heapq.heappop(free_at) + seconds)
        slower = self._seen / self._foreseen if self._foreseen else self.slots / min(self.slots, self.workers)
        return slower * max(free_at)

    def _work_left(self) -> list[float]:
        """Return the expected seconds of the rest of each training."""
        left = []
        for seconds, done in zip(self.expected, self.done, strict=True):
            current = int(done)
            partly = (done - current) * float(seconds[current]) if current < len(seconds) else 0.0
            left.append(float(seconds[current:].sum()) - partly)
        return left
