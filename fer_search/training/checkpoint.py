"""Checkpoints of a trial: the complete training state after an epoch in one file.

``epoch_0003.weights.h5`` holds weights and optimiser state after epoch 3 (as ``keras.Model.save_weights`` writes them).
The order of the writes makes a kill harmless at any point: first the new checkpoint, then its row of epochs.csv, then
the removal of the old checkpoint. Training resumes from the last epoch that has both its checkpoint and its row; later
epochs are repeated with the same random numbers. ``checkpoint_writer`` decides which epochs get a checkpoint.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import h5py
import keras

from fer_search.files import TEMP_PREFIX, MemoryFile, check_write_guard, sync_folder, write_atomic, write_hdf5
from fer_search.runfolder.schema import BEST_WEIGHTS_FILE, MID_EPOCH_FILE
from fer_search.runfolder.seal import make_seal
from fer_search.training.ema import ema_weights

BEST_FILE = BEST_WEIGHTS_FILE  # weights of the epoch with the best validation accuracy (their averages, with EMA)
OPTIMIZER_GROUP = "optimizer"  # Keras' name for the optimiser state in a checkpoint


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """Return the path of the checkpoint after an epoch."""
    return folder / f"epoch_{epoch:04d}.weights.h5"


def checkpointed_epochs(folder: Path) -> list[int]:
    """Return the epochs with a checkpoint in the folder, in order."""
    return sorted(int(path.name[6:10]) for path in folder.glob("epoch_[0-9][0-9][0-9][0-9].weights.h5"))


def save_checkpoint(model: keras.Model, folder: Path, epoch: int, label: str | None = None) -> None:
    """Write the checkpoint after an epoch, sealed with a label if one is given (see ``runfolder.seal``)."""
    write_hdf5(checkpoint_path(folder, epoch), model.save_weights, make_seal(label))


def load_checkpoint(model: keras.Model, folder: Path, epoch: int) -> None:
    """Load weights and optimiser state after an epoch into a compiled model."""
    model.optimizer.build(model.trainable_variables)  # otherwise Keras skips its state with only a warning
    model.load_weights(checkpoint_path(folder, epoch))


def link_best(folder: Path, epoch: int, model: keras.Model, label: str | None = None) -> None:
    """Keep the weights that predicted in an epoch as the best ones.

    Without EMA this is a hard link to the epoch's checkpoint, or a copy where the file system has no links. With EMA it
    is a file of its own in which the averages replace the trained weights.

    Args:
        folder: Folder of the trial.
        epoch: Epoch whose checkpoint has just been written.
        model: Model in the state after that epoch.
        label: Label of the seal, if the file is one of its own.
    """
    if model.optimizer.use_ema:
        with ema_weights(model):
            write_hdf5(folder / BEST_FILE, model.save_weights, make_seal(label))
        return
    checkpoint, link = checkpoint_path(folder, epoch), folder / f"{TEMP_PREFIX}best.weights.h5"
    link.unlink(missing_ok=True)
    try:
        os.link(checkpoint, link)
    except OSError:
        write_atomic(folder / BEST_FILE, lambda path: shutil.copyfile(checkpoint, path))
        return
    check_write_guard()
    link.replace(folder / BEST_FILE)
    sync_folder(folder)


def save_best(model: keras.Model, folder: Path, label: str | None = None) -> None:
    """Keep a model's weights as the best ones, without optimiser state, sealed with a label if one is given."""
    memory = MemoryFile()
    model.save_weights(memory)

    def write(stripped: MemoryFile) -> None:
        with h5py.File(memory) as complete:
            strip_optimizer(complete, stripped)

    write_hdf5(folder / BEST_FILE, write, make_seal(label))


def strip_optimizer(checkpoint: h5py.File, memory: MemoryFile) -> None:
    """Copy a checkpoint without its optimiser state."""
    with h5py.File(memory, "w") as stripped:
        for name in checkpoint:
            if name != OPTIMIZER_GROUP:
                checkpoint.copy(name, stripped)


def remove_other_checkpoints(folder: Path, epochs: tuple[int, ...]) -> None:
    """Remove the checkpoints of all but the given epochs, and any mid-epoch state."""
    check_write_guard()
    (folder / MID_EPOCH_FILE).unlink(missing_ok=True)
    for epoch in checkpointed_epochs(folder):
        if epoch not in epochs:
            checkpoint_path(folder, epoch).unlink()
