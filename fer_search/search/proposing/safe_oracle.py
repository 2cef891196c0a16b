"""Keras Tuner's oracle interface, made safe to kill, exact to resume, and able to have several trials pending.

A trial begins (``adopt``, ``propose``) and is committed (``finish``, ``fail``, ``commit``); in between it is pending. A
proposal depends on oracle.json and on committed trials only, and every file is replaced atomically. Keras Tuner 1.4.8
writes its JSON files in place, lists a trial as ongoing after it ended, forgets GridSearch's position and the Bayesian
oracle's random state at a reload, and ends a search at the third failure in a row.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import keras_tuner as kt
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.src.engine.metrics_tracking import MetricsTracker

from fer_search.errors import UserError
from fer_search.files import write_json, write_text
from fer_search.runfolder.epochs import Row

TUNER_ID = "tuner0"  # Keras Tuner's name for a single worker
MAXIMISED = ("accuracy", "recall", "f1")
BROKEN = 4  # exit code
ENDED = (TrialStatus.COMPLETED, TrialStatus.FAILED)


class SafeOracle(kt.Oracle):
    """What all our oracles add to Keras Tuner's.

    ``concurrent``: several trials may be pending; each is then listed in oracle.json under its own id, since Keras
    Tuner knows one ongoing trial per worker, and workers come and go.
    """

    concurrent = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._unsaved = False
        self.recorded: dict[str, Trial] = {}  # trials that ended and wait for their turn to be committed

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
        file, state = Path(self._get_oracle_fname()), self.get_state()
        if self.concurrent:
            write_text(file, json.dumps(state))  # several times faster than indented, in a search of many trials
        else:
            write_json(file, state)
        self._unsaved = False

    def _save_trial(self, trial: Trial) -> None:
        write_json(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", trial.get_state())

    def get_state(self) -> dict[str, Any]:
        state = super().get_state()
        ended = set(self.end_order)
        state["ongoing_trials"] = {k: i for k, i in state["ongoing_trials"].items() if i not in ended}
        state["tried_so_far"] = sorted(state["tried_so_far"])  # a set, whose order differs between processes
        return state

    def restore(self) -> None:
        """Resume from the files in the run folder.

        A trial whose start was not recorded is proposed again. One whose result was written but not committed to
        oracle.json is recorded, to be committed in its turn. The others that had begun are pending.

        Raises:
            UserError: A file is missing or unreadable (exit code 4).
        """
        file = Path(self._get_oracle_fname())
        try:
            state = json.loads(file.read_text(encoding="utf-8"))
            for trial_id in state["start_order"]:
                file = Path(self._project_dir) / f"trial_{trial_id}" / "trial.json"
                self.trials[trial_id] = Trial.load(str(file))
            self.set_state(state)
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}" if isinstance(error, (KeyError, TypeError)) else str(error)
            raise UserError(
                f"{file} cannot be read ({reason}); fer-search doctor {shlex.quote(str(self._project_dir))} --repair "
                "repairs it, or says why it cannot",
                BROKEN,
            ) from error
        for trial in self.pending():
            if trial.status in ENDED:
                self._set_aside(trial)

    def pending(self) -> list[Trial]:
        """Return the trials that have begun and are not committed, in the order in which they began."""
        committed = set(self.end_order)
        return [self.trials[trial_id] for trial_id in self.start_order if trial_id not in committed]

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

    def propose(self) -> Trial | None:
        """Begin the next trial; None if the oracle has none, for good or until a pending trial is committed."""
        trial = self.create_trial(self._worker_name())
        return trial if trial.status == TrialStatus.RUNNING else None

    def finish(self, trial: Trial, rows: list[Row]) -> None:
        """Commit a trial with its epochs as metrics; its score is the best epoch's."""
        self._complete(trial, rows)
        self.end_trial(trial)

    def fail(self, trial: Trial, reason: str) -> None:
        """Commit a trial that gave no result."""
        trial.status, trial.message = TrialStatus.FAILED, reason
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

    def known_trials(self) -> list[Trial]:
        """Return all trials with what is known of them, results that are recorded and not committed included."""
        return [self.recorded.get(trial_id, trial) for trial_id, trial in self.trials.items()]

    def _worker_name(self) -> str:
        return f"{len(self.trials):04d}" if self.concurrent else TUNER_ID

    def _complete(self, trial: Trial, rows: list[Row]) -> None:
        trial.metrics = MetricsTracker()
        for name in (n for n in rows[0] if n != "epoch"):
            trial.metrics.register(name, "max" if any(word in name for word in MAXIMISED) else "min")
        for row in rows:
            for name, value in row.items():
                if name != "epoch":
                    trial.metrics.update(name, value, step=int(row["epoch"]))
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
