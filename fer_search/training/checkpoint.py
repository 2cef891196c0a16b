"""Checkpoints of a trial: all that the next epoch needs, in one file an epoch.

``epoch_0003.weights.h5`` holds the weights and the optimiser's state after epoch 3 (what ``keras.Model.save_weights``
writes). The order of the writes makes every kill harmless: the new checkpoint, then its row of epochs.csv, then the old
checkpoint is removed. Epochs count up to the last one that has both its checkpoint and its row; anything more is done
again, with the same random numbers. ``keeper`` says which epochs get a checkpoint.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import h5py
import keras

from fer_search.files import PART, Memory, sync_folder, write_atomic, write_hdf5
from fer_search.training.ema import averaged
from fer_search.training.mid_epoch import PARTIAL

BEST = "best.weights.h5"  # what predicts best: the weights, or their averages, of the best validation accuracy's epoch
OPTIMISER = "optimizer"  # Keras' name of the optimiser's state in a checkpoint


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """Return where the state after an epoch is kept."""
    return folder / f"epoch_{epoch:04d}.weights.h5"


def checkpointed_epochs(folder: Path) -> list[int]:
    """Return the epochs whose checkpoints are there, in order."""
    return sorted(int(path.name[6:10]) for path in folder.glob("epoch_[0-9][0-9][0-9][0-9].weights.h5"))


def save_checkpoint(model: keras.Model, folder: Path, epoch: int) -> None:
    """Write the state after an epoch."""
    write_hdf5(checkpoint_path(folder, epoch), model.save_weights)


def load_checkpoint(model: keras.Model, folder: Path, epoch: int) -> None:
    """Give a compiled model the weights and the optimiser the state that they had after an epoch."""
    model.optimizer.build(model.trainable_variables)  # otherwise Keras leaves its state out, with a warning only
    model.load_weights(checkpoint_path(folder, epoch))


def mark_best(folder: Path, epoch: int, model: keras.Model) -> None:
    """Keep what predicted in an epoch as the best.

    It is a second name for the epoch's checkpoint where the file system can, else a copy; where the optimiser keeps
    averages, which predict instead of the trained weights, it is a file of its own with the averages as the weights.

    Args:
        folder: of the trial.
        epoch: whose checkpoint has just been written.
        model: in the state after that epoch.
    """
    if model.optimizer.use_ema:
        with averaged(model):
            write_hdf5(folder / BEST, model.save_weights)
        return
    checkpoint, beside = checkpoint_path(folder, epoch), folder / f"{PART}best.weights.h5"
    beside.unlink(missing_ok=True)
    try:
        os.link(checkpoint, beside)
    except OSError:
        write_atomic(folder / BEST, lambda path: shutil.copyfile(checkpoint, path))
        return
    beside.replace(folder / BEST)
    sync_folder(folder)


def save_best(model: keras.Model, folder: Path) -> None:
    """Keep a model's weights as the best, without the optimiser's state."""
    memory = Memory()
    model.save_weights(memory)

    def write(stripped: Memory) -> None:
        with h5py.File(memory) as whole:
            copy_weights(whole, stripped)

    write_hdf5(folder / BEST, write)


def copy_weights(checkpoint: h5py.File, memory: Memory) -> None:
    """Write a checkpoint without its optimiser's state."""
    with h5py.File(memory, "w") as stripped:
        for name in checkpoint:
            if name != OPTIMISER:
                checkpoint.copy(name, stripped)


def keep_only(folder: Path, epochs: tuple[int, ...]) -> None:
    """Remove the checkpoints of all other epochs, and that of an epoch's middle."""
    (folder / PARTIAL).unlink(missing_ok=True)
    for epoch in checkpointed_epochs(folder):
        if epoch not in epochs:
            checkpoint_path(folder, epoch).unlink()
