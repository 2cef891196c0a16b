"""The loop of a search: begins trials, hands them to an executor, and commits their results in order."""

from __future__ import annotations

import dataclasses
import errno
import os
import time
from typing import Any

from keras_tuner.engine.trial import Trial as TunerTrial

from fer_search.files import disk_is_full
from fer_search.runfolder.epochs import Row
from fer_search.search.display import events
from fer_search.search.executors.executor import Executor
from fer_search.search.executors.job import Job, Outcome
from fer_search.search.opening import update_predictions
from fer_search.search.proposing.queued import adopt_queued, imported_rows, queued_count
from fer_search.search.state import SearchState
from fer_search.search.trials.checkpoint_retention import max_trial_bytes
from fer_search.search.trials.failures import reason
from fer_search.search.trials.job_maker import PreparedTrial
from fer_search.search.trials.signals import Stop
from fer_search.training.trial import Progress, Stopped, completed_epochs

HEARTBEAT = 2.0  # seconds between two writes of live.json


class SearchLoop:
    """Decides what is trained next until the search ends.

    Args:
        state: The search; its run folder is open.
        executor: Trains the trials.
        stop: Ends the search.
    """

    def __init__(self, state: SearchState, executor: Executor, stop: Stop) -> None:
        self.state, self.oracle, self.executor, self.stop = state, state.oracle, executor, stop
        self.running: dict[str, events.TrialBegun] = {}
        self.without_checkpoint: set[str] = set()  # promoted trials whose parent's checkpoint is still needed
        self.last_heartbeat = 0.0

    def run(self) -> str:
        """Run trials; return why the search ended: "finished", "interrupted", "out_of_time" or "failing"."""
        while not self.stop():
            if self.state.consecutive_failures() >= self.state.settings.max_failures:
                return "failing"
            trial = self.oracle.ongoing() or self._begin_next()
            if trial is None:
                return "finished"
            if trial.trial_id in self.oracle.recorded:
                self.oracle.commit(trial.trial_id)
                self._after_commit(trial.trial_id)
                continue
            outcome = self._train(trial)
            if outcome.status == "stopped":
                break
            self._commit(trial, outcome)
        return "interrupted" if self.stop.signum is not None else "out_of_time"

    def _begin_next(self) -> TunerTrial | None:
        """Begin the next trial: the baselines first, then the queue, then what the oracle proposes."""
        state, count = self.state, len(self.oracle.trials)
        limit = state.max_trials
        if count < len(state.names) and (limit is None or count < limit):
            return self.oracle.adopt(state.space.baseline(state.names[count]))
        if (queued := adopt_queued(state.folder, self.oracle)) is not None:
            return queued
        if limit is not None and count - queued_count(state.folder, self.oracle) >= limit:
            return None
        return self.oracle.propose()

    def _train(self, trial: TunerTrial) -> Outcome:
        rows = imported_rows(self.state.folder, trial.trial_id)
        if rows is not None:
            return Outcome("completed", rows)
        try:
            job = self._prepare(trial)
        except Exception as error:
            if isinstance(error, Stopped) or disk_is_full(error):
                raise
            return Outcome("failed", message=reason(error))
        self.executor.submit(job)
        ((_, outcome),) = self.executor.wait(self)
        return outcome

    def _prepare(self, trial: TunerTrial) -> Job:
        """Make a trial's job, make room for its checkpoints, and announce it."""
        prepared = self.state.jobs.prepare(trial)
        job = prepared.job
        self.state.prune(max_trial_bytes(job.trial.design, prepared.parameters))
        own = completed_epochs(job.trial)
        begun = self._describe(trial, prepared, (*job.trial.history, *own))
        self.running[trial.trial_id] = begun
        if job.trial.parent is not None:
            self.without_checkpoint.add(trial.trial_id)
        self.state.clock.begin_trial(len(own))
        self.state.reporter.show(begun)
        self._write_heartbeat(
            begun, Progress(len(begun.curve) + 1, 0, len(self.state.data.labels), 0.0, 0.0), self.state.clock.left()
        )
        return job

    def _describe(self, trial: TunerTrial, prepared: PreparedTrial, rows: tuple[Row, ...]) -> events.TrialBegun:
        return events.TrialBegun(
            number=int(trial.trial_id),
            trials=self.state.budgets.trials,
            name=prepared.name,
            choices=trial.hyperparameters.values,
            epochs=prepared.job.trial.epochs,
            parameters=prepared.parameters,
            curve=tuple(row[self.oracle.objective.name] for row in rows),
        )

    def _commit(self, trial: TunerTrial, outcome: Outcome) -> None:
        """Tell the oracle how a trial ended.

        Raises:
            OSError: The disk is full; the trial resumes once there is room.
        """
        if outcome.status == "disk_full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), outcome.message)
        if outcome.status == "failed":
            self.oracle.fail(trial, outcome.message)
        else:
            trial.message = outcome.message or None
            self.oracle.finish(trial, outcome.rows)
        self.state.clock.end_trial()
        self._after_commit(trial.trial_id)
        self._show_end(trial)
        self.state.write_state("running")

    def _after_commit(self, trial_id: str) -> None:
        self.running.pop(trial_id, None)
        self.without_checkpoint.discard(trial_id)
        self.state.prune()
        update_predictions(self.state)

    def _show_end(self, trial: TunerTrial) -> None:
        state = self.state
        epoch = trial.best_step if trial.score is not None else None
        state.reporter.show(
            events.TrialEnded(
                number=int(trial.trial_id),
                name=state.jobs.name(trial.trial_id),
                status=trial.status.lower(),
                accuracy=trial.score,
                best_epoch=epoch,
                message=trial.message or "",
                best=state.best(),
                failed=state.failed(),
                metric=self.oracle.objective.name.replace("val_", "validation ").replace("_", " "),
            )
        )

    def progress(self, number: int, progress: Progress) -> None:
        """Show a running trial's progress."""
        left = self.state.clock.left(progress.done / progress.images)
        step = events.Steps(progress.epoch, progress.done, progress.images, progress.loss, progress.accuracy, left)
        self.state.reporter.show(step)
        if time.monotonic() - self.last_heartbeat >= HEARTBEAT:
            self._write_heartbeat(self.running[f"{number:04d}"], progress, left)

    def epoch(self, number: int, row: Row) -> None:
        """Show an epoch of a running trial."""
        self.state.clock.end_epoch(row["seconds"])
        if (trial_id := f"{number:04d}") in self.without_checkpoint:
            self.without_checkpoint.remove(trial_id)
            self.state.prune()
        self.state.reporter.show(events.EpochEnded(number, row, self.state.clock.left()))

    def _write_heartbeat(self, begun: events.TrialBegun, progress: Progress, left: events.Range) -> None:
        """Tell ``fer-search status`` how far the search is."""
        self.last_heartbeat = time.monotonic()
        live: dict[str, Any] = {"pid": os.getpid(), "time": time.time(), "trials": self.state.budgets.trials}
        live |= {"trial": begun.number, "epochs": begun.epochs, "left": left, "seconds": self.state.seconds()}
        self.state.folder.write_live(live | dataclasses.asdict(progress))
