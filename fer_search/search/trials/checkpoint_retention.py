"""Which checkpoints of a run are kept: those that can still matter, up to a number of bytes.

A checkpoint matters while a trial may go on from it: the running trial's own, its parent's until it has one, and those
of the trials that Hyperband may still promote. Of the best trials the weights of the best epoch are kept, without the
optimiser's state: two thirds of Adam's checkpoints. Where that is more than the limit, the least promising go first; a
promotable trial whose checkpoint went is trained once more when it is promoted, which gives the same weights.

The limit holds at every instant: room is left for what a running trial has at most (``most_bytes``).
"""

from __future__ import annotations

from pathlib import Path

import h5py
from keras_tuner.engine.trial import Trial

from fer_search.design import Design
from fer_search.files import Memory, write_hdf5
from fer_search.runfolder.epochs import read_epochs
from fer_search.runfolder.folder import RunFolder
from fer_search.search.proposing.oracles import HyperbandOracle, SafeOracle
from fer_search.training.checkpoint import (
    BEST,
    OPTIMISER,
    checkpoint_path,
    checkpointed_epochs,
    copy_weights,
    keep_only,
)

KEPT_WEIGHTS = 5  # trials that keep the weights of their best epoch
STATE_BYTES = 12  # of a parameter in a checkpoint: float32, and Adam's two moments
AVERAGE_BYTES = 4  # more, where the optimiser keeps an average
HDF5_SHARE = 1.01  # of a checkpoint's size in its numbers' size; 1.001 for Figure 1


def tidy(folder: RunFolder, oracle: SafeOracle, max_bytes: int | None = None, room: int = 0) -> None:
    """Remove the checkpoints that cannot matter any more, and the least promising beyond the limit.

    It depends on what the folder holds alone: after a kill the next start removes what the last one left.

    Args:
        folder: of the run.
        oracle: knows the trials.
        max_bytes: limit for all checkpoints together; None for none.
        room: bytes below the limit that are left for the trial that is trained next.
    """
    best = ranked(oracle)[:KEPT_WEIGHTS]
    going_on = oracle.promotable() if isinstance(oracle, HyperbandOracle) else []
    running = oracle.ongoing()
    busy = _busy(folder, running) if running else set()
    for trial_id in oracle.trials:
        path = folder.path / f"trial_{trial_id}"
        if trial_id not in busy and trial_id not in going_on:
            keep_only(path, ())
        if trial_id not in best and (running is None or trial_id != running.trial_id):
            (path / BEST).unlink(missing_ok=True)
        elif running is None or trial_id != running.trial_id:
            _strip(path / BEST)
    if max_bytes is not None:
        spare = [path for i in reversed(going_on) if i not in busy for path in _last(folder.path / f"trial_{i}")]
        spare += [folder.path / f"trial_{i}" / BEST for i in reversed(best[1:])]
        _shrink(folder.path, spare, max_bytes - room)


def most_bytes(design: Design, parameters: int) -> int:
    """Return what the checkpoints of a trial take at most while it is trained.

    Those are the ones of its last two epochs and of its best one. Where averages predict, the best is a file of its own
    and beside the others while it is replaced.
    """
    averages = bool(design.optimisation.ema)
    files, of_parameter = 3 + averages, STATE_BYTES + averages * AVERAGE_BYTES
    return int(files * of_parameter * parameters * HDF5_SHARE)


def ranked(oracle: SafeOracle) -> list[str]:
    """Return the trials with a score, the best first, the earlier first among equals."""
    scored = [trial for trial in oracle.trials.values() if trial.score is not None]
    return [trial.trial_id for trial in sorted(scored, key=lambda trial: (-trial.score, trial.trial_id))]


def has_whole_epoch(path: Path) -> bool:
    """Whether a trial's folder holds an epoch that it can go on from: its checkpoint, and its row of epochs.csv."""
    rows = read_epochs(path / "epochs.csv")
    return bool(rows) and any(epoch <= rows[-1]["epoch"] for epoch in checkpointed_epochs(path))


def used_bytes(path: Path) -> int:
    """Return what the checkpoints of a run take on the disk; a file with two names counts once."""
    found = [file.stat() for file in path.glob("trial_*/**/*.h5")]
    return sum({status.st_ino: status.st_size for status in found}.values())


def _busy(folder: RunFolder, running: Trial) -> set[str]:
    """Return the running trial, and its parent until it has a checkpoint of its own."""
    begun = has_whole_epoch(folder.path / f"trial_{running.trial_id}")
    parent = None if begun else running.hyperparameters.values.get("tuner/trial_id")
    return {running.trial_id, parent} if parent else {running.trial_id}


def _strip(path: Path) -> None:
    """Leave the optimiser's state out of a checkpoint, unless that is the last one of a trial too."""
    if not path.exists() or path.stat().st_nlink > 1:
        return
    try:
        with h5py.File(path) as file:
            if OPTIMISER not in file:
                return
    except OSError:  # broken; fer-search doctor says so
        return

    def write(memory: Memory) -> None:
        with h5py.File(path) as file:
            copy_weights(file, memory)

    write_hdf5(path, write)


def _last(path: Path) -> list[Path]:
    return [checkpoint_path(path, epoch) for epoch in checkpointed_epochs(path)]


def _shrink(path: Path, spare: list[Path], most: int) -> None:
    for file in spare:
        if used_bytes(path) <= most:
            return
        file.unlink(missing_ok=True)
        _strip(file.parent / BEST)
