"""What is to be trained, on what, and who watches: the words between a trial and its caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fer_search.design import Design
from fer_search.runfolder.epochs import Row


class TrialFailed(Exception):
    """The trial cannot give a result; the message is the reason, in words for the user."""


class Stopped(Exception):
    """The trial was asked to stop; its folder holds all that it trained."""


@dataclass(frozen=True, eq=False)
class TrialData:
    """What a trial sees, as NumPy arrays.

    Args:
        images: uint8 (n, 48, 48), to train on.
        labels: int (n,), from 0 to 6.
        val_images: uint8 (m, 48, 48), to validate on; none for a training that validates nothing, whose validation
            columns in epochs.csv are NaN and which keeps no best epoch.
        val_labels: int (m,).
        augment_validation: show the validation images through the design's geometry too, as the report did.
    """

    images: np.ndarray
    labels: np.ndarray
    val_images: np.ndarray
    val_labels: np.ndarray
    augment_validation: bool = False
    _placed: dict[int, list[Any]] = field(default_factory=dict, repr=False)

    def placed(self, put: Callable[[np.ndarray], Any], devices: int = 1) -> list[Any]:
        """Return images, labels and validation images on so many devices; the first trial moves them there."""
        if devices not in self._placed:
            arrays = (self.images, self.labels.astype(np.int32), self.val_images)
            self._placed[devices] = [put(array) for array in arrays]
        return self._placed[devices]


@dataclass(frozen=True)
class Trial:
    """What to train, how long, and where.

    Args:
        design: the design.
        epochs: the epoch to train up to, 1 being the first.
        folder: where epochs.csv and the checkpoints are.
        seed: of the run.
        number: of the trial in the run; together with the seed it determines all randomness.
        parent: folder of the trial whose last weights and optimiser state this one goes on from.
        history: rows of the epochs that the parent and its ancestors trained.
        horizon: the epoch at which cosine and one_cycle end: the longest training of the run, of which this trial may
            be but the beginning; 0 for ``epochs``.
        weights_dir: a folder that may hold pretrained weights; see ``fer_search.models.weights.find_weights``.
        micro_batches: that each step is cut into, for want of memory; see ``fer_search.training.engine``.
        schedule_losses: validation losses that a plateau schedule goes by, epoch by epoch, instead of the trial's own:
            those of another training of the design, where this one has no validation images.
        devices: how many devices share each batch; see ``fer_search.training.engine.on_devices``.
    """

    design: Design
    epochs: int
    folder: Path
    seed: int
    number: int
    parent: Path | None = None
    history: list[Row] = field(default_factory=list)
    horizon: int = 0
    weights_dir: Path | None = None
    micro_batches: int = 1
    schedule_losses: tuple[float, ...] | None = None
    devices: int = 1


@dataclass(frozen=True)
class Progress:
    """Where a running trial is: ``done`` of ``images`` images of an epoch, with the mean loss and accuracy so far."""

    epoch: int
    done: int
    images: int
    loss: float
    accuracy: float


@dataclass
class Watcher:
    """What the caller of ``train`` wants to know and to decide.

    Args:
        stop: asked between chunks of about a second; True ends the trial with ``Stopped``.
        progress: called after each chunk.
        epoch: called after each epoch, with its row.
        built: called with the model before its first epoch, for those who want to count or draw it.
        callbacks: Keras callbacks, called at the beginning and end of the training and of each epoch, with the row of
            epochs.csv as logs; see ``fer_search.training.callbacks``.
    """

    stop: Callable[[], bool] = lambda: False
    progress: Callable[[Progress], None] = lambda progress: None
    epoch: Callable[[Row], None] = lambda row: None
    built: Callable[[keras.Model], None] = lambda model: None
    callbacks: Sequence[keras.callbacks.Callback] = ()
