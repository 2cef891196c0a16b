"""Which checkpoints of a run are kept: those that can still matter, up to a limit on their total size.

A checkpoint matters while a trial may resume from it: a pending trial's own, its parent's until it has one, and those
of the trials that the guided tuner or Hyperband may still resume. The best trials keep the weights of their best epoch
without the optimizer state, which is two thirds of Adam's checkpoints, also under the name where stock Keras Tuner
looks for them. If that exceeds the limit, the least promising are removed first; a promoted trial whose parent's
checkpoint was removed retrains the parent, which gives the same weights.

The limit holds at every instant: room is reserved for what a running trial needs at most (``max_trial_bytes``).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import h5py
from keras_tuner.engine.trial import Trial

from fer_search.design import Design
from fer_search.files import MemoryFile, storage_failed, write_hdf5
from fer_search.runfolder.epochs import read_epochs
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.schema import EPOCHS_FILE, TRIAL_PREFIX, TUNER_CHECKPOINT_FILE
from fer_search.runfolder.seal import make_seal, read_label
from fer_search.search.proposing.guided_oracle import GuidedOracle
from fer_search.search.proposing.oracles import HyperbandOracle
from fer_search.search.proposing.safe_oracle import SafeOracle
from fer_search.search.trials.tuner_checkpoint import is_linked, update_tuner_checkpoint
from fer_search.training.checkpoint import (
    BEST_FILE,
    OPTIMIZER_GROUP,
    checkpoint_path,
    checkpointed_epochs,
    remove_other_checkpoints,
    strip_optimizer,
)
from fer_search.tuner_entries import PARENT

KEPT_WEIGHTS = 5  # trials that keep the weights of their best epoch
STATE_BYTES = 12  # per parameter in a checkpoint: float32 weights, and Adam's two moments
AVERAGE_BYTES = 4  # per parameter in addition, if the optimizer keeps an average of the weights
HDF5_OVERHEAD = 1.01  # size of a checkpoint relative to its numbers; 1.001 for Figure 1


class Unpruned:
    """The trials whose folders may hold checkpoints, so that a search of thousands of trials looks into few folders.

    And the files of best weights in which there is no optimizer state to remove, which are not opened again.
    """

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.stripped: dict[Path, tuple[int, ...]] = {}
        self._begun = 0

    def update(self, start_order: Sequence[str]) -> None:
        """Take in the trials that have begun since the last call."""
        self.ids.update(start_order[self._begun :])
        self._begun = len(start_order)


def prune_checkpoints(
    folder: RunFolder,
    oracle: SafeOracle,
    max_bytes: int | None = None,
    running: Mapping[str, int] | None = None,
    unpruned: Unpruned | None = None,
) -> None:
    """Remove the checkpoints that cannot matter any more, and the least promising ones beyond the limit.

    It depends only on what the folder holds: after a kill the next start removes what was left.

    Args:
        folder: Run folder.
        oracle: Knows the trials.
        max_bytes: Limit on the size of all checkpoints together; None for no limit.
        running: Running trials -> largest size of their checkpoints, which is kept free for them.
        unpruned: Trials to look at, from the last call; None for all.
    """
    unpruned = Unpruned() if unpruned is None else unpruned
    unpruned.update(oracle.start_order)
    best = oracle.best_trials(KEPT_WEIGHTS)
    promotable = oracle.promotable() if isinstance(oracle, (GuidedOracle, HyperbandOracle)) else []
    pending = {trial.trial_id: trial for trial in oracle.pending()}
    reserved = {} if running is None else running
    in_use = {trial_id for trial in pending.values() for trial_id in _in_use(folder, trial)}
    kept = {*in_use, *promotable, *best}
    for trial_id in unpruned.ids - (pending.keys() - oracle.recorded.keys()):
        path = folder.trial_path(trial_id)
        if trial_id not in in_use and trial_id not in promotable:
            remove_other_checkpoints(path, ())
        if trial_id in best:
            _strip_optimizer_state(path / BEST_FILE, unpruned.stripped)
        else:
            (path / BEST_FILE).unlink(missing_ok=True)
        update_tuner_checkpoint(path)
    unpruned.ids &= kept
    if max_bytes is not None:
        removable = [path for i in reversed(promotable) if i not in in_use for path in _last(folder.trial_path(i))]
        removable += [folder.trial_path(i) / BEST_FILE for i in reversed(best[1:])]
        others = [folder.trial_path(i) for i in (kept | _ancestors(oracle, pending)) - reserved.keys()]
        _shrink(others, removable, max_bytes - sum(reserved.values()), unpruned.stripped)


def max_trial_bytes(design: Design, parameters: int) -> int:
    """Return the maximum size of a trial's checkpoints while it is trained.

    Those are the checkpoints of its last two epochs and of its best one. If the weights are averaged, the best epoch's
    weights are a file of their own, which coexists with its replacement for a moment.
    """
    averages = bool(design.optimisation.ema)
    files, bytes_per_parameter = 3 + averages, STATE_BYTES + averages * AVERAGE_BYTES
    return int(files * bytes_per_parameter * parameters * HDF5_OVERHEAD)


def has_complete_epoch(path: Path) -> bool:
    """Whether a trial can resume from an epoch in its folder: a checkpoint and its row of epochs.csv exist."""
    rows = read_epochs(path / EPOCHS_FILE)
    return bool(rows) and any(epoch <= rows[-1]["epoch"] for epoch in checkpointed_epochs(path))


def used_bytes(run: Path, folders: Iterable[Path] | None = None) -> int:
    """Return the disk usage of a run's checkpoints in bytes; hard links are counted once.

    Args:
        run: Run folder.
        folders: Its trial folders that can hold any; None for all.
    """
    folders = run.glob(f"{TRIAL_PREFIX}*") if folders is None else folders
    stats = [status for folder in folders for status in _stats(folder)]
    return sum({status.st_ino: status.st_size for status in stats}.values())


def _in_use(folder: RunFolder, pending: Trial) -> list[str]:
    """Return the pending trial, and its parent until it has a checkpoint of its own."""
    parent = pending.hyperparameters.values.get(PARENT)
    if parent and not has_complete_epoch(folder.trial_path(pending.trial_id)):
        return [pending.trial_id, parent]
    return [pending.trial_id]


def _strip_optimizer_state(path: Path, stripped: dict[Path, tuple[int, ...]]) -> None:
    """Remove the optimizer state from a checkpoint, unless it is also the last checkpoint of a trial (a hard link).

    Args:
        path: The checkpoint.
        stripped: Checkpoints without such a state, with what identifies the content of each; it is added here.
    """
    if not path.exists() or (status := path.stat()).st_nlink - is_linked(path.parent) > 1:
        return
    content = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
    if stripped.get(path) == content:
        return
    try:
        with h5py.File(path) as file:
            found = OPTIMIZER_GROUP in file
    except OSError as error:
        if storage_failed(error):  # it may be readable the next time
            return
        found = False  # corrupt; fer-search doctor reports it
    if not found:
        stripped[path] = content
        return

    def write(memory: MemoryFile) -> None:
        with h5py.File(path) as file:
            strip_optimizer(file, memory)

    (path.parent / TUNER_CHECKPOINT_FILE).unlink(missing_ok=True)  # would keep the old content on the disk
    write_hdf5(path, write, make_seal(read_label(path)))


def _last(path: Path) -> list[Path]:
    return [checkpoint_path(path, epoch) for epoch in checkpointed_epochs(path)]


def _ancestors(oracle: SafeOracle, pending: Mapping[str, Trial]) -> set[str]:
    """Return the trials that pending ones continue, which may be retrained for them."""
    ancestors = set()
    for trial in pending.values():
        values = trial.hyperparameters.values
        while parent := values.get(PARENT):
            ancestors.add(parent)
            values = oracle.trials[parent].hyperparameters.values
    return ancestors


def _stats(folder: Path | str) -> list[os.stat_result]:
    """Return the status of the checkpoints in a trial's folder and below; a worker may remove one at any moment."""
    stats = []
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                stats += _stats(entry.path)
            elif entry.name.endswith(".h5"):
                with contextlib.suppress(FileNotFoundError):
                    stats.append(os.stat(entry.path))
    return stats


def _shrink(folders: list[Path], removable: list[Path], limit: int, stripped: dict[Path, tuple[int, ...]]) -> None:
    for file in removable:
        if used_bytes(file.parent.parent, folders) <= limit:
            return
        file.unlink(missing_ok=True)
        _strip_optimizer_state(file.parent / BEST_FILE, stripped)
        update_tuner_checkpoint(file.parent)
