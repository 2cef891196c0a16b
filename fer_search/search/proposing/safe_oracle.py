"""Keras Tuner's oracle interface, made safe to kill, exact to resume, and able to have several trials pending.

A trial begins (``adopt``, ``propose``) and is committed (``finish``, ``fail``, ``commit``); in between it is pending. A
proposal depends on oracle.json, committed trials, the number of trials left and whether time is short only, and every
file is replaced atomically. Keras Tuner 1.4.8 writes its JSON files in place, lists a trial as ongoing after it ended,
forgets GridSearch's position and the Bayesian oracle's random state at a reload, and ends a search at the third failure
in a row.
"""

from __future__ import annotations

import bisect
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras_tuner as kt
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.src.engine.metrics_tracking import MetricsTracker

from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.runfolder.epochs import Row
from fer_search.runfolder.json_files import read_json, write_json
from fer_search.runfolder.schema import MAXIMIZED_METRICS, ORACLE_FILE, TRIAL_DIGESTS, TRIAL_FILE, TRIAL_PREFIX
from fer_search.runfolder.trial_files import read_trial_json, trial_digest

TUNER_ID = "tuner0"  # Keras Tuner's name for a single worker
ENDED = (TrialStatus.COMPLETED, TrialStatus.FAILED)
# what Keras Tuner raises over a state that is not what it wrote
STATE_ERRORS = (ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError, RecursionError)


class SafeOracle(kt.Oracle):
    """What all our oracles add to Keras Tuner's.

    ``concurrent``: several trials may be pending; each is then listed in oracle.json under its own id, since Keras
    Tuner knows one ongoing trial per worker, and workers come and go.
    """

    concurrent = False

    @property
    def rung_count(self) -> int:
        """Largest number of rungs of a design's training."""
        return 1

    def rungs_left(self, values: Mapping[str, Any]) -> int:
        """Return the number of rungs above that of a trial with these values."""
        return 0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._unsaved = False
        self.trials_left: int | None = None  # see ``propose``
        self.time_is_short = False  # see ``propose``
        self.recorded: dict[str, Trial] = {}  # trials that ended and wait for their turn to be committed
        self.trial_digests: dict[str, str] = {}  # of the trial.json of each trial that ended
        self.failed: set[str] = set()  # ids of trials that failed, recorded ones included
        self._gains: dict[str, float] = {}  # trial -> score, more is better; recorded ones included
        self._ranking: list[tuple[float, str]] = []  # (-gain, trial), sorted
        self._committed: set[str] = set()  # of ``end_order``, as of the last look
        self._first_pending = 0  # index in ``start_order`` before which all are committed

    def save(self) -> None:
        """Write oracle.json; with several pending trials only note that ``flush`` has to."""
        self._unsaved = True
        if not self.concurrent:
            self.flush()

    def flush(self) -> None:
        """Write oracle.json if something changed; must come before a trial that began is trained.

        Until then nothing is lost: a trial that is not in oracle.json begins again, and a result that is not is in its
        trial.json.
        """
        if not self._unsaved:
            return
        # compact is several times faster, which counts in a search of many trials
        write_json(Path(self._get_oracle_fname()), self.get_state(), compact=self.concurrent)
        self._unsaved = False

    def _save_trial(self, trial: Trial) -> None:
        state = trial.get_state()
        if trial.status in ENDED:
            self.trial_digests[trial.trial_id] = trial_digest(state)
        folder = Path(self._project_dir) / f"{TRIAL_PREFIX}{trial.trial_id}"
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / TRIAL_FILE, state)

    def get_state(self) -> dict[str, Any]:
        state: dict[str, Any] = super().get_state()
        ended = set(self.end_order)
        state["ongoing_trials"] = {k: i for k, i in state["ongoing_trials"].items() if i not in ended}
        state["tried_so_far"] = sorted(state["tried_so_far"])  # a set, whose order differs between processes
        digests = {i: self.trial_digests[i] for i in self.end_order if i in self.trial_digests}
        return state | {TRIAL_DIGESTS: digests}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self._committed, self._first_pending = set(), 0

    def restore(self) -> None:
        """Resume from the files in the run folder.

        A trial whose start was not recorded is proposed again. One whose result was written but not committed to
        oracle.json is recorded, to be committed in its turn. The others that had begun are pending.

        Raises:
            UserError: A file is missing or damaged, or they do not belong together (exit code 4).
        """
        run = Path(self._project_dir)
        file = run / ORACLE_FILE
        state = read_json(file)
        self.trial_digests = dict(state.get(TRIAL_DIGESTS, {}))
        ended = set(state.get("end_order", ()))
        try:
            for trial_id in state["start_order"]:
                file = run / f"{TRIAL_PREFIX}{trial_id}" / TRIAL_FILE
                content = read_trial_json(file, self.trial_digests.get(trial_id) if trial_id in ended else None)
                if trial_id in ended and content["status"] not in ENDED:
                    raise ValueError(f"oracle.json says that it ended, its status is {content['status']}")
                self.trials[trial_id] = trial = Trial.from_state(content)
                self._note_score(trial)
                if trial.status == TrialStatus.FAILED:
                    self.failed.add(trial_id)
            file = run / ORACLE_FILE
            self.set_state(state)
            self.check_state()
        except STATE_ERRORS as error:
            raise UserError(
                f"{file} has unexpected content ({type(error).__name__}: {error}); run: fer-search doctor "
                f"{shlex.quote(str(run))} --repair",
                EXIT_RUN_FOLDER,
            ) from error
        for trial in self.pending():
            if trial.status in ENDED:
                self._set_aside(trial)

    def check_state(self) -> None:
        """Raise one of STATE_ERRORS if a restored state is inconsistent."""
        self.get_state()

    def pending(self) -> list[Trial]:
        """Return the trials that have begun and are not committed, in the order in which they began."""
        self._committed.update(self.end_order[len(self._committed) :])
        while self._first_pending < len(self.start_order) and self.start_order[self._first_pending] in self._committed:
            self._first_pending += 1
        begun = self.start_order[self._first_pending :]
        return [self.trials[trial_id] for trial_id in begun if trial_id not in self._committed]

    def ongoing(self) -> Trial | None:
        """Return the first pending trial, such as one that an interruption left unfinished; None if there is none."""
        return next(iter(self.pending()), None)

    def adopt(self, hyperparameters: kt.HyperParameters) -> Trial:
        """Begin a trial that the oracle did not propose (a baseline); the oracle learns from its result as usual."""
        trial = Trial(hyperparameters=hyperparameters, trial_id=f"{len(self.trials):04d}", status=TrialStatus.RUNNING)
        self._record_values(trial)
        self.ongoing_trials[self._worker_name()] = trial
        self.trials[trial.trial_id] = trial
        self.start_order.append(trial.trial_id)
        self._save_trial(trial)
        self.save()
        return trial

    def adopt_baseline(self, hyperparameters: kt.HyperParameters) -> Trial:
        """Begin a baseline; oracles with rungs begin it at the first one."""
        return self.adopt(hyperparameters)

    def short_of_time(self, epochs_left: float | None) -> bool:
        """Return whether the next proposal has to consider that time is short.

        Args:
            epochs_left: Number of epochs that a single worker can train before the time budget ends; None if that is
                not known, or if there is no time budget.
        """
        return False

    def propose(self, left: int | None = None, time_is_short: bool = False) -> Trial | None:
        """Begin the next trial; None if the oracle has none, for good or until a pending trial is committed.

        Args:
            left: Number of proposals up to the limit, this one included; None if there is none.
            time_is_short: From ``short_of_time``.
        """
        self.trials_left, self.time_is_short = left, time_is_short
        trial = self.create_trial(self._worker_name())
        return trial if trial.status == TrialStatus.RUNNING else None

    def finish(self, trial: Trial, rows: list[Row]) -> None:
        """Commit a trial with its epochs as metrics; its score is the best epoch's."""
        self._complete(trial, rows)
        self.end_trial(trial)

    def fail(self, trial: Trial, reason: str) -> None:
        """Commit a trial that gave no result."""
        trial.status, trial.message = TrialStatus.FAILED, reason
        self.failed.add(trial.trial_id)
        self.end_trial(trial)

    def record(self, trial_id: str, rows: list[Row], message: str | None, failed: bool = False) -> Trial:
        """Write a trial's result to its trial.json without committing it: earlier trials are still pending.

        Args:
            trial_id: A pending trial.
            rows: Its epochs; ignored if it failed.
            message: Why it ended early or failed.
            failed: Whether it gave no result.

        Returns:
            A copy of the trial with its result; the oracle's own is still running.
        """
        trial = Trial.from_state(self.trials[trial_id].get_state())
        trial.message = message
        if failed:
            trial.status = TrialStatus.FAILED
            self.failed.add(trial_id)
        else:
            self._complete(trial, rows)
            self.score_trial(trial)
        self._save_trial(trial)
        self.recorded[trial_id] = trial
        return trial

    def commit(self, trial_id: str) -> Trial:
        """Commit the recorded result of a trial."""
        recorded, trial = self.recorded.pop(trial_id), self.trials[trial_id]
        trial.metrics, trial.status, trial.message = recorded.metrics, recorded.status, recorded.message
        self.end_trial(trial)
        return trial

    def recommended(self) -> str | None:
        """Return the trial whose design a model of the tuner expects the most of; None if it has none."""
        return None

    def score_trial(self, trial: Trial) -> None:
        """Set the score of a trial from its metrics."""
        super().score_trial(trial)
        self._note_score(trial)

    def known_trial(self, trial_id: str) -> Trial:
        """Return a trial with what is known of it, a result that is recorded and not committed included."""
        return self.recorded.get(trial_id) or self.trials[trial_id]

    def best_trials(self, limit: int) -> list[str]:
        """Return the ids of the ``limit`` best trials with a score, best first; ties are broken by the earlier one."""
        return [trial_id for _, trial_id in self._ranking[:limit]]

    def _note_score(self, trial: Trial) -> None:
        """Take a trial's score into the ranking, which thus costs no more after thousands of trials."""
        if trial.score is None:
            return
        gain = trial.score if self.objective.direction == "max" else -trial.score
        before = self._gains.get(trial.trial_id)
        if before == gain:
            return
        if before is not None:
            del self._ranking[bisect.bisect_left(self._ranking, (-before, trial.trial_id))]
        self._gains[trial.trial_id] = gain
        bisect.insort(self._ranking, (-gain, trial.trial_id))

    def _check_consecutive_failures(self) -> None:
        """Do nothing: the search counts failures itself (--max-failures), without a look at all trials after each."""

    def _worker_name(self) -> str:
        return f"{len(self.trials):04d}" if self.concurrent else TUNER_ID

    def _complete(self, trial: Trial, rows: list[Row]) -> None:
        trial.metrics = MetricsTracker()
        for name in (n for n in rows[0] if n != "epoch"):
            trial.metrics.register(name, "max" if any(word in name for word in MAXIMIZED_METRICS) else "min")
        for row in rows:
            for name, value in row.items():
                if name != "epoch":  # not by ``trial.metrics.update``, which looks for the best value each time
                    trial.metrics.metrics[name].update(value, step=int(row["epoch"]))
        trial.status = TrialStatus.COMPLETED

    def _set_aside(self, ended: Trial) -> None:
        """Keep a result that was read from disk until its turn; to the oracle the trial is running."""
        self.recorded[ended.trial_id] = ended
        running = Trial.from_state(ended.get_state())
        running.metrics, running.score, running.best_step = MetricsTracker(), None, 0
        running.status, running.message = TrialStatus.RUNNING, None
        self.trials[ended.trial_id] = running
        for worker, trial in self.ongoing_trials.items():
            if trial.trial_id == ended.trial_id:
                self.ongoing_trials[worker] = running
