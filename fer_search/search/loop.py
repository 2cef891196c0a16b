"""The loop of a search: begins trials, hands them to an executor, and commits their results."""

from __future__ import annotations

from collections import deque

from keras_tuner.engine.trial import Trial as TunerTrial

from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.runfolder.epochs import Row
from fer_search.search.display import events
from fer_search.search.executors.executor import Executor
from fer_search.search.executors.outcome import Outcome
from fer_search.search.heartbeat import Heartbeat
from fer_search.search.predictions import update_predictions
from fer_search.search.proposing.queued import adopt_queued, imported_rows, queued_count
from fer_search.search.scheduling.gain import trials_without_gain
from fer_search.search.state import SearchState
from fer_search.search.trials.checkpoint_retention import max_trial_bytes
from fer_search.search.trials.failures import is_folder_fault, reason
from fer_search.search.trials.job_maker import PreparedTrial
from fer_search.search.trials.signals import Stop
from fer_search.search.window import Window
from fer_search.training.trial import Progress, Stopped, completed_epochs
from fer_search.tuner_entries import PARENT


class SearchLoop:
    """Decides what is trained next until the search ends.

    Args:
        state: The search; its run folder is open.
        executor: Trains the trials.
        stop: Ends the search.
    """

    def __init__(self, state: SearchState, executor: Executor, stop: Stop) -> None:
        self.state, self.oracle, self.executor, self.stop = state, state.oracle, executor, stop
        self.window = Window(self.oracle, self._begin_next, state.ahead, executor.capacity)
        self.queue: deque[PreparedTrial | TunerTrial] = deque()  # began, and waits for a worker
        self.running: dict[str, PreparedTrial] = {}
        self.without_checkpoint: set[str] = set()  # promoted trials whose parent's checkpoint is still needed
        self.heartbeat = Heartbeat(state, executor)

    def run(self) -> str:
        """Run trials; return why the search ended: "finished", "interrupted", "out_of_time" or "failing"."""
        update_predictions(self.state, self.executor.predict)
        pending = {trial.trial_id: trial for trial in self.oracle.pending()}
        for trial in pending.values():
            if trial.hyperparameters.values.get(PARENT) in pending:  # both were reset to be trained again
                self.queue.append(trial)
            elif trial.trial_id not in self.oracle.recorded:
                self._enqueue(trial)
        ending = self._run()
        self._stop_running_jobs()
        self.oracle.flush()
        if not self.stop():
            update_predictions(self.state, self.executor.predict, wait=True)
        return ending

    def _run(self) -> str:
        while not self.stop():
            if self.state.consecutive_failures() >= self.state.settings.max_failures:
                return "failing"
            decision = self.window.decide()
            if decision.action == "finished":
                return "finished"
            if decision.action == "began" and decision.trial is not None:
                self._enqueue(decision.trial)
            elif decision.action == "commit" and decision.trial is not None:
                self.oracle.commit(decision.trial.trial_id)
                self._after_commit()
            else:
                self._submit_queued()
                if not self._collect():
                    break
        return "interrupted" if self.stop.signum is not None else "out_of_time"

    def _begin_next(self) -> TunerTrial | None:
        """Begin the next trial: the baselines first, then the queue, then what the oracle proposes."""
        state, count = self.state, len(self.oracle.trials)
        limit = state.max_trials
        if count < len(state.names) and (limit is None or count < limit):
            return self.oracle.adopt_baseline(state.space.baseline(state.names[count]))
        if (queued := adopt_queued(state.folder, self.oracle)) is not None:
            return queued
        left = None if limit is None else limit - count + queued_count(state.folder, self.oracle)
        if left is not None and left <= 0:
            return None
        patience = state.settings.search_patience
        if patience is not None and trials_without_gain(self.oracle, len(state.names)) >= patience:
            return None
        if not state.info["tuner"].get("last_trials_full"):
            return self.oracle.propose()
        return self.oracle.propose(left, self.oracle.short_of_time(state.clock.epochs_left()))

    def _enqueue(self, trial: TunerTrial) -> None:
        """Prepare a trial that began; one that cannot be prepared has failed."""
        rows = imported_rows(self.state.folder, trial.trial_id)
        if rows is not None:
            self._end(trial.trial_id, Outcome("completed", rows))
            return
        try:
            self.queue.append(self.state.jobs.prepare(trial))
        except Exception as error:
            if isinstance(error, Stopped) or is_folder_fault(error):
                raise
            self._end(trial.trial_id, Outcome("failed", message=reason(error)))

    def _submit_queued(self) -> None:
        self.oracle.flush()
        for _ in range(len(self.queue)):
            if len(self.running) >= self.executor.capacity:
                return
            waiting = self.queue.popleft()
            if isinstance(waiting, PreparedTrial):
                self._announce(waiting)
                self.executor.submit(waiting.job)
            elif waiting.hyperparameters.values[PARENT] in self.oracle.end_order:
                self._enqueue(waiting)
            else:
                self.queue.append(waiting)  # until its parent has ended

    def _announce(self, prepared: PreparedTrial) -> None:
        """Make room for a trial's checkpoints, and show that it starts."""
        job, state = prepared.job, self.state
        self.running[job.trial_id] = prepared
        self._prune()
        own = completed_epochs(job.trial)
        if job.trial.parent is not None:
            self.without_checkpoint.add(job.trial_id)
        curve = tuple(row[self.oracle.objective.name] for row in (*job.trial.history, *own))
        epochs = job.trial.epochs - len(job.trial.history)
        lengths = state.jobs.epoch_lengths(job.trial_id)[len(job.trial.history) :]
        state.clock.begin_trial(job.trial.number, len(own), epochs, state.jobs.epochs_per_budget(job.trial_id), lengths)
        begun = events.TrialBegun(
            number=job.trial.number,
            trials=state.budgets.trials,
            name=prepared.name,
            choices=self.oracle.trials[job.trial_id].hyperparameters.values,
            epochs=job.trial.epochs,
            parameters=prepared.parameters,
            curve=curve,
        )
        state.reporter.show(begun)
        self.heartbeat.begin(begun, Progress(len(curve) + 1, 0, len(state.data.labels), 0.0, 0.0))

    def _collect(self) -> bool:
        """Take in the jobs that ended; return False if one was stopped.

        Raises:
            UserError: The disk is full or fails, or a file of the run is damaged; the trial can be resumed.
        """
        stopped = False
        for job, outcome in self.executor.wait(self):
            prepared = self.running.pop(job.trial_id)
            self.without_checkpoint.discard(job.trial_id)
            self.heartbeat.end(job.trial.number)
            if outcome.status == "stopped":
                stopped = True
            elif outcome.status == "disk_full":
                raise UserError(outcome.message, EXIT_RUN_FOLDER)
            elif outcome.status == "lost":
                self._requeue(prepared, outcome)
            else:
                self._end(job.trial_id, outcome)
        while self.executor.notes:
            self.state.say(self.executor.notes.pop(0))
        self.heartbeat.write()
        return not stopped

    def _requeue(self, prepared: PreparedTrial, outcome: Outcome) -> None:
        """Train a trial on from its last checkpoint, whose worker was lost; its crash marker counts these losses."""
        number = prepared.job.trial.number
        self.state.clock.end_trial(number, ended=False)
        self.state.say(f"trial {number}: {outcome.message}; it resumes from its last checkpoint.")
        trial = self.oracle.trials[prepared.job.trial_id]
        self.queue.appendleft(self.state.jobs.prepare(trial))

    def _end(self, trial_id: str, outcome: Outcome) -> None:
        """Take in a result: record it for the window to commit in its turn, unless no other trial can be pending."""
        if self.state.ahead in (None, 1):
            trial = self.oracle.trials[trial_id]
            if outcome.status == "failed":
                self.oracle.fail(trial, outcome.message)
            else:
                trial.message = outcome.message or None
                self.oracle.finish(trial, outcome.rows)
            self.window.exhausted = False
        else:
            failed = outcome.status == "failed"
            trial = self.oracle.record(trial_id, outcome.rows, outcome.message or None, failed)
        self.state.clock.end_trial(int(trial_id))
        self._after_commit(trial)

    def _after_commit(self, shown: TunerTrial | None = None) -> None:
        state = self.state
        self._prune()
        update_predictions(state, self.executor.predict)
        if shown is not None:
            state.reporter.show(
                events.TrialEnded(
                    number=int(shown.trial_id),
                    name=state.jobs.name(shown.trial_id),
                    status=shown.status.lower(),
                    accuracy=shown.score,
                    best_epoch=shown.best_step if shown.score is not None else None,
                    message=shown.message or "",
                    best=state.best(),
                    failed=state.failed(),
                    metric=self.oracle.objective.name.replace("val_", "validation ").replace("_", " "),
                )
            )
        state.write_state("running")

    def _prune(self) -> None:
        """Remove checkpoints that are not needed, and leave room for those of the running trials."""
        self.state.prune({i: max_trial_bytes(p.job.trial.design, p.parameters) for i, p in self.running.items()})

    def _stop_running_jobs(self) -> None:
        """Stop what still trains; results that are complete by then are recorded."""
        if not self.running:
            return
        self.executor.stop()
        while self.running:
            for job, outcome in self.executor.wait(self):
                del self.running[job.trial_id]
                if outcome.status in ("completed", "failed"):
                    self._end(job.trial_id, outcome)

    def progress(self, number: int, progress: Progress) -> None:
        """Show a running trial's progress."""
        self.state.clock.progress(number, progress.done / progress.images)
        left = self.state.clock.left()
        self.state.reporter.show(
            events.Steps(progress.epoch, progress.done, progress.images, progress.loss, progress.accuracy, left, number)
        )
        self.heartbeat.progress(number, progress)

    def epoch(self, number: int, row: Row) -> None:
        """Show an epoch of a running trial."""
        self.state.clock.end_epoch(number, row["seconds"])
        if (trial_id := f"{number:04d}") in self.without_checkpoint:
            self.without_checkpoint.remove(trial_id)
            self._prune()
        self.state.reporter.show(events.EpochEnded(number, row, self.state.clock.left()))
