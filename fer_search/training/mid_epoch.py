"""The state in the middle of an epoch, so that a stop costs no epoch: those of a large network on a CPU take hours.

``partial.weights.h5`` is a checkpoint (weights and optimiser) with, under "partial", how many steps of which epoch it
has, what they added up to, and the states of the random layers. It is there from a stop, or from every PERIOD of an
epoch, until the epoch's own checkpoint is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import keras
import numpy as np

from fer_search.files import Memory, write_hdf5
from fer_search.training.engine import random_states

PARTIAL = "partial.weights.h5"
PERIOD = 600.0  # seconds of an epoch's work that a power cut may cost


@dataclass(frozen=True)
class Partial:
    """How far an epoch is.

    Args:
        epoch: which, 1 being the first.
        step: steps taken.
        sums: float64 (3,), of these steps; see ``Engine.train``.
        seconds: that they took.
        states: of the random layers after them.
    """

    epoch: int
    step: int
    sums: np.ndarray
    seconds: float
    states: list[np.ndarray]


def save_partial(model: keras.Model, folder: Path, epoch: int, step: int, sums: np.ndarray, seconds: float) -> None:
    """Write the state of a model in the middle of an epoch to the folder of its trial."""

    def write(memory: Memory) -> None:
        model.save_weights(memory)
        with h5py.File(memory, "a") as file:
            group = file.create_group("partial")
            group.attrs.update({"epoch": epoch, "step": step, "sums": sums, "seconds": seconds})
            for number, state in enumerate(random_states(model)):
                group[f"{number:04d}"] = keras.ops.convert_to_numpy(state)

    write_hdf5(folder / PARTIAL, write)


def partial_epoch(folder: Path) -> int:
    """Return the epoch whose middle is kept; 0 where none is."""
    path = folder / PARTIAL
    if not path.exists():
        return 0
    with h5py.File(path) as file:
        return int(file["partial"].attrs["epoch"])


def load_partial(model: keras.Model, folder: Path, epoch: int) -> Partial | None:
    """Give a compiled model the state that it had in the middle of an epoch; None where none is kept."""
    if partial_epoch(folder) != epoch:
        return None
    with h5py.File(folder / PARTIAL) as file:
        group = file["partial"]
        at = dict(group.attrs)
        states = [group[name][()] for name in sorted(group)]
    model.optimizer.build(model.trainable_variables)
    model.load_weights(folder / PARTIAL)
    return Partial(epoch, int(at["step"]), at["sums"], float(at["seconds"]), states)
