"""Training state in the middle of an epoch, so that a stop costs no epoch: large networks on a CPU take hours for one.

``partial.weights.h5`` is a checkpoint (weights and optimiser) plus, under "partial", the epoch, the number of steps
done, their summed metrics and the states of the random layers. It is written on a stop and every SAVE_INTERVAL of an
epoch, and removed when the epoch's own checkpoint is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import keras
import numpy as np

from fer_search.files import MemoryFile, write_hdf5
from fer_search.runfolder.schema import MID_EPOCH_FILE
from fer_search.runfolder.seal import make_seal
from fer_search.training.engine import random_states

SAVE_INTERVAL = 600.0  # seconds of training that a power cut may cost


@dataclass(frozen=True)
class MidEpochState:
    """Progress within an epoch.

    Args:
        epoch: The epoch, counted from 1.
        step: Number of steps done.
        sums: Summed metrics of these steps, float64 (3,); see ``Engine.train``.
        seconds: Duration of these steps.
        states: States of the random layers after them.
    """

    epoch: int
    step: int
    sums: np.ndarray
    seconds: float
    states: list[np.ndarray]


def save_mid_epoch(
    model: keras.Model,
    folder: Path,
    epoch: int,
    step: int,
    sums: np.ndarray,
    seconds: float,
    label: str | None = None,
) -> None:
    """Write a model's mid-epoch state to the trial's folder, sealed with a label if one is given.

    See ``MidEpochState`` for the other arguments.
    """

    def write(memory: MemoryFile) -> None:
        model.save_weights(memory)
        with h5py.File(memory, "a") as file:
            group = file.create_group("partial")
            group.attrs.update({"epoch": epoch, "step": step, "sums": sums, "seconds": seconds})
            for number, state in enumerate(random_states(model)):
                group[f"{number:04d}"] = keras.ops.convert_to_numpy(state)

    write_hdf5(folder / MID_EPOCH_FILE, write, make_seal(label))


def mid_epoch_number(folder: Path) -> int:
    """Return the epoch of the saved mid-epoch state; 0 if there is none."""
    path = folder / MID_EPOCH_FILE
    if not path.exists():
        return 0
    with h5py.File(path) as file:
        return int(file["partial"].attrs["epoch"])


def load_mid_epoch(model: keras.Model, folder: Path, epoch: int) -> MidEpochState | None:
    """Load the saved mid-epoch state of an epoch into a compiled model; None if there is none."""
    if mid_epoch_number(folder) != epoch:
        return None
    with h5py.File(folder / MID_EPOCH_FILE) as file:
        group = file["partial"]
        saved = dict(group.attrs)
        states = [group[name][()] for name in sorted(group)]
    model.optimizer.build(model.trainable_variables)
    model.load_weights(folder / MID_EPOCH_FILE)
    return MidEpochState(epoch, int(saved["step"]), saved["sums"], float(saved["seconds"]), states)
