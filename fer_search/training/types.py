"""Types shared by a trial and its caller: what to train, on which data, and the caller's hooks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_search.data.spec import FER2013_CLASSES, DataSpec
from fer_search.design import Design
from fer_search.runfolder.epochs import Row
from fer_search.runfolder.objective import ACCURACY, Objective
from fer_search.runfolder.seal import state_label

if TYPE_CHECKING:
    import keras


class TrialFailed(Exception):
    """The trial cannot produce a result; the message is the reason shown to the user."""


class Stopped(Exception):
    """The trial was asked to stop; its folder holds everything trained so far."""


@dataclass(frozen=True, eq=False)
class TrialData:
    """Training and validation data as NumPy arrays.

    Args:
        images: Training images, uint8 (n, size, size), grey, or (n, size, size, 3), RGB.
        labels: Training labels, int (n,), indices into ``class_names``.
        val_images: Validation images, uint8, of the same shape. May be empty: then the validation columns of
            epochs.csv are NaN and no best epoch is kept.
        val_labels: Validation labels, int (m,).
        augment_validation: Also evaluate validation images under the design's geometric augmentation, as the course
            report did.
        class_names: Name of each class, in label order.
    """

    images: np.ndarray
    labels: np.ndarray
    val_images: np.ndarray
    val_labels: np.ndarray
    augment_validation: bool = False
    class_names: tuple[str, ...] = FER2013_CLASSES
    _on_device: dict[int, list[Any]] = field(default_factory=dict, repr=False)

    @property
    def spec(self) -> DataSpec:
        """Image size, channels and class names."""
        return DataSpec(self.images.shape[1], 3 if self.images.ndim == 4 else 1, self.class_names)

    def for_workers(self) -> TrialData:
        """Return the same without what is on this process's device."""
        return dataclasses.replace(self, _on_device={})

    def on_device(self, put: Callable[[np.ndarray], Any], devices: int = 1) -> list[Any]:
        """Return images, labels and validation images on the devices; only the first call copies them.

        Args:
            put: ``Engine.put``.
            devices: Number of devices.
        """
        if devices not in self._on_device:
            arrays = (self.images, self.labels.astype(np.int32), self.val_images)
            self._on_device[devices] = [put(array) for array in arrays]
        return self._on_device[devices]


@dataclass(frozen=True)
class Trial:
    """What to train, for how long, and where.

    Args:
        design: The design to train.
        epochs: Last epoch to train, counted from 1.
        folder: Folder of epochs.csv and the checkpoints.
        seed: Seed of the run.
        number: Number of the trial in the run; with the seed it determines all randomness.
        parent: Folder of the trial whose last weights and optimiser state this one continues from.
        history: Rows of the epochs trained by the parent and its ancestors.
        horizon: Epoch at which the cosine and one_cycle schedules end: the run's longest training, of which this trial
            may be only the beginning. 0 means ``epochs``.
        weights_dir: Folder that may hold pretrained weights; see ``fer_search.models.weights.find_weights``.
        micro_batches: Number of micro-batches per step, for gradient accumulation.
        schedule_losses: Validation losses, one per epoch, that drive the plateau schedule instead of the trial's own:
            from another training of the same design, where this one has no validation images.
        devices: Number of devices that share each batch; see ``fer_search.training.engines.device_scope``.
        objective: Decides which epoch is the best, whose weights are kept.
        validate_low: Whether epochs at low resolution are validated at low resolution; not in runs of older versions.
        mirror_augmented: Whether a design with flipped views has them for augmented validation images, too; not in runs
            of older versions.
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
    objective: Objective = ACCURACY
    validate_low: bool = True
    mirror_augmented: bool = True

    def resolution(self, epoch: int, validation: bool = False) -> int:
        """Return the side in pixels of 48 to which images are shrunk in an epoch, or its validation; 0 for none."""
        optimisation = self.design.optimisation
        low = epoch <= optimisation.low_resolution_epochs(self.horizon or self.epochs)
        return optimisation.low_resolution if low and (self.validate_low or not validation) else 0

    def label(self, epoch: int | str) -> str:
        """Return what a file with this trial's training state is; see ``runfolder.seal.state_label``."""
        return state_label(self.seed, self.number, epoch)


@dataclass(frozen=True)
class Progress:
    """Progress within an epoch.

    Args:
        epoch: Current epoch, counted from 1.
        done: Images trained in this epoch.
        images: Images in the epoch.
        loss: Mean training loss so far.
        accuracy: Training accuracy so far, 0 to 1.
    """

    epoch: int
    done: int
    images: int
    loss: float
    accuracy: float


@dataclass
class TrialHooks:
    """Callables through which the caller of ``train`` follows and stops a trial.

    Args:
        should_stop: Polled about once a second; True ends the trial with ``Stopped``.
        on_progress: Called at the same intervals.
        on_epoch_end: Called after each epoch with its row of epochs.csv.
        on_model_built: Called with the model before its first epoch.
        callbacks: Keras callbacks, called at training and epoch level with the row of epochs.csv as logs; see
            ``fer_search.training.callbacks``.
    """

    should_stop: Callable[[], bool] = lambda: False
    on_progress: Callable[[Progress], None] = lambda progress: None
    on_epoch_end: Callable[[Row], None] = lambda row: None
    on_model_built: Callable[[keras.Model], None] = lambda model: None
    callbacks: Sequence[keras.callbacks.Callback] = ()
