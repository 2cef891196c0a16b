"""Training one trial as a job: plain data in, a result or the reason for its failure out.

The driver of a search decides (oracle, run record, disk limit, display) and makes jobs; an executor runs them, in its
own process or elsewhere, always through ``execute``. While a job runs, it alone writes the training files of the
trial's folder: epochs.csv, checkpoints, the crash marker, and in ``again/`` those of its ancestors.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fer_search.runfolder.design_json import write_design_json
from fer_search.runfolder.epochs import Row
from fer_search.runfolder.recovery import set_aside, set_aside_damaged
from fer_search.runfolder.schema import MICRO_BATCHES_MESSAGE
from fer_search.runfolder.seal import damage
from fer_search.search.executors.lease import LeaseLost
from fer_search.search.executors.outcome import Outcome
from fer_search.search.scheduling.stopping import StoppingCallback, StoppingRule
from fer_search.search.trials.checkpoint_retention import has_complete_epoch
from fer_search.search.trials.crash_guard import CRASH_MESSAGE, MAX_CRASHES, CrashMarker
from fer_search.search.trials.failures import describe_folder_fault, is_folder_fault, out_of_memory, reason
from fer_search.search.trials.signals import Stop
from fer_search.search.trials.tensorboard import Board, BoardSettings
from fer_search.training.checkpoint import BEST_FILE, checkpoint_path, remove_other_checkpoints
from fer_search.training.trial import Progress, Stopped, Trial, TrialData, TrialFailed, TrialHooks, train

RETRAINED = "again"  # subfolder of a trial in which it is retrained for a promoted one
MICRO_BATCHES = 4  # per step, after a trial ran out of memory


@dataclass(frozen=True)
class Job:
    """A trial to train; picklable.

    Args:
        trial: What to train, and in which folder.
        stopping: When the trial ends before its last epoch.
        record: Content of the trial's design.json, to which a job adds that it needs micro-batches.
        ancestors: The trials that this one continues, parent first, as they are retrained if the parent's last
            checkpoint was removed to save space; empty for a trial that starts from initial weights.
        board: What its TensorBoard files need; None for no such files.
    """

    trial: Trial
    stopping: StoppingRule
    record: Mapping[str, Any]
    ancestors: tuple[Trial, ...] = ()
    board: BoardSettings | None = None

    @property
    def trial_id(self) -> str:
        return f"{self.trial.number:04d}"

    def run(
        self,
        data: TrialData,
        stop: Stop,
        progress: Callable[[Progress], None] = lambda progress: None,
        epoch: Callable[[Row], None] = lambda row: None,
    ) -> Outcome:
        """Train the trial; see ``execute``."""
        return execute(self, data, stop, progress, epoch)

    def with_absolute_paths(self) -> Job:
        """Return the job for a process with another working directory."""
        board = self.board and dataclasses.replace(self.board, folder=self.board.folder.absolute())
        ancestors = tuple(_with_absolute_paths(trial) for trial in self.ancestors)
        return dataclasses.replace(self, trial=_with_absolute_paths(self.trial), ancestors=ancestors, board=board)

    def crash_marker(self) -> CrashMarker:
        """Return the marker that tells later starts that this trial was training when the process died."""
        return CrashMarker(self.trial.folder, [ancestor.folder for ancestor in self.ancestors])


def execute(
    job: Job,
    data: TrialData,
    stop: Stop,
    progress: Callable[[Progress], None] = lambda progress: None,
    epoch: Callable[[Row], None] = lambda row: None,
) -> Outcome:
    """Train a trial from where its folder is to its end.

    Args:
        job: What to train.
        data: Training and validation images.
        stop: Polled about once a second; its ``on_signal`` is set to remove the crash marker.
        progress: Called after each chunk of steps.
        epoch: Called after each epoch with its row of epochs.csv.
    """
    try:
        return _train(job, data, TrialHooks(should_stop=stop, on_progress=progress, on_epoch_end=epoch), stop)
    except LeaseLost:
        raise
    except Stopped:
        return Outcome("stopped")
    except Exception as error:
        if is_folder_fault(error):
            return Outcome("disk_full", message=describe_folder_fault(error, job.trial.folder.parent))
        return Outcome("failed", message=reason(error))


def _train(job: Job, data: TrialData, hooks: TrialHooks, stop: Stop) -> Outcome:
    early = StoppingCallback(job.stopping, job.trial.folder / "epochs.csv", job.trial.history)
    hooks.callbacks = (early, *([Board(job.board)] if job.board else []))
    marker = job.crash_marker()
    stop.on_signal = marker.clear
    try:
        if marker.set() >= MAX_CRASHES:
            raise TrialFailed(CRASH_MESSAGE)
        repaired = _set_damaged_aside(job)
        if job.ancestors and not has_complete_epoch(job.trial.folder):
            _retrain(job.ancestors, data, hooks.should_stop)
        trial, rows = _train_within_memory(job, data, hooks)
    except Exception:  # not "finally": a crash of the process must leave the marker
        marker.clear()
        raise
    marker.clear()
    micro_batches = MICRO_BATCHES_MESSAGE.format(MICRO_BATCHES) if trial.micro_batches > 1 else ""
    return Outcome("completed", rows, "; ".join(filter(None, (early.why, micro_batches, *repaired))))


def _set_damaged_aside(job: Job) -> list[str]:
    """Set checkpoints that were damaged since the run was started aside; return a sentence for each."""
    trial = job.trial
    lines = set_aside_damaged(trial.folder, trial.seed, trial.number)
    if job.ancestors:
        parent = job.ancestors[0]
        needed = checkpoint_path(parent.folder.parent, parent.epochs)
        if needed.exists() and (what := damage(needed, parent.seed, parent.number, parent.epochs)) is not None:
            set_aside(needed)
            lines.append(f"{needed} {what}; set aside, trial {parent.number} was trained again")
    return lines


def _train_within_memory(job: Job, data: TrialData, hooks: TrialHooks) -> tuple[Trial, list[Row]]:
    """Train a trial; on out-of-memory retry once with gradient accumulation over micro-batches."""
    trial = job.trial
    try:
        return trial, train(trial, data, hooks)
    except Exception as error:
        if not out_of_memory(error) or trial.micro_batches > 1:
            raise
    # outside of the handler, whose error keeps the network that was too large alive
    trial = dataclasses.replace(trial, micro_batches=MICRO_BATCHES)
    write_design_json(trial.folder, {**job.record, "micro_batches": MICRO_BATCHES})
    return trial, train(trial, data, hooks)


def _retrain(ancestors: Sequence[Trial], data: TrialData, stop: Callable[[], bool]) -> None:
    """Restore the last checkpoint of a promoted trial's parent by training it once more, if it was removed."""
    if not ancestors:
        return
    parent = ancestors[0]
    home = parent.folder.parent
    if checkpoint_path(home, parent.epochs).exists():
        return
    if not has_complete_epoch(parent.folder):
        _retrain(ancestors[1:], data, stop)
    parent.folder.mkdir(exist_ok=True)

    def make_room(row: Row) -> None:
        """Keep the last epoch only, and drop the checkpoint that it continued from."""
        (parent.folder / BEST_FILE).unlink(missing_ok=True)
        if parent.parent is not None:
            remove_other_checkpoints(parent.parent, ())

    train(parent, data, TrialHooks(should_stop=stop, on_epoch_end=make_room))
    checkpoint_path(parent.folder, parent.epochs).replace(checkpoint_path(home, parent.epochs))
    shutil.rmtree(parent.folder)


def _with_absolute_paths(trial: Trial) -> Trial:
    paths = {name: getattr(trial, name) for name in ("folder", "parent", "weights_dir")}
    return dataclasses.replace(trial, **{name: path and path.absolute() for name, path in paths.items()})
