"""Keras Tuner's oracles, made safe to kill and exact to resume.

What a proposal depends on is all in oracle.json and in the trials that ended, and every file is replaced whole. Keras
Tuner 1.4.8 writes its JSON files in place, lists a trial as ongoing after it ended, forgets GridSearch's position and the
Bayesian oracle's random state at a reload, and ends a search at the third failure in a row.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras_tuner as kt
import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.src.engine.metrics_tracking import MetricsTracker

from fer_search.files import write_json
from fer_search.training.epochs import Row

OBJECTIVE = "val_accuracy"
TUNERS = ("hyperband", "bayesian", "random", "grid")
TUNER_ID = "tuner0"  # Keras Tuner's name for the only worker
MAXIMISED = ("accuracy", "recall")


class SafeOracle(kt.Oracle):
    """What all our oracles add to Keras Tuner's."""

    def save(self) -> None:
        write_json(Path(self._get_oracle_fname()), self.get_state())

    def _save_trial(self, trial: Trial) -> None:
        write_json(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", trial.get_state())

    def get_state(self) -> dict[str, Any]:
        state = super().get_state()
        ended = set(self.end_order)
        state["ongoing_trials"] = {k: i for k, i in state["ongoing_trials"].items() if i not in ended}
        return state

    def restore(self) -> None:
        """Take up the search where its folder is.

        A trial whose start was not recorded yet is proposed again; one whose result was written, but not yet entered
        in oracle.json, is entered; one that was running stays the ongoing one.
        """
        state = json.loads(Path(self._get_oracle_fname()).read_text())
        folder = Path(self._project_dir)
        self.trials = {i: Trial.load(str(folder / f"trial_{i}" / "trial.json")) for i in state["start_order"]}
        self.set_state(state)
        for trial in list(self.ongoing_trials.values()):
            if trial.status in (TrialStatus.COMPLETED, TrialStatus.FAILED):
                self.end_trial(trial)

    def ongoing(self) -> Trial | None:
        """Return the trial that an interruption left unfinished."""
        return self.ongoing_trials.get(TUNER_ID)

    def adopt(self, hyperparameters: kt.HyperParameters) -> Trial:
        """Start a trial that the oracle did not propose (a baseline); its result is known to the oracle as any other."""
        trial = Trial(hyperparameters=hyperparameters, trial_id=f"{len(self.trials):04d}", status=TrialStatus.RUNNING)
        self._record_values(trial)
        self.ongoing_trials[TUNER_ID] = trial
        self.trials[trial.trial_id] = trial
        self.start_order.append(trial.trial_id)
        self._save_trial(trial)
        self.save()
        return trial

    def propose(self) -> Trial | None:
        """Start the trial that the oracle proposes next; None where it has no more."""
        trial = self.create_trial(TUNER_ID)
        return trial if trial.status == TrialStatus.RUNNING else None

    def finish(self, trial: Trial, rows: list[Row]) -> None:
        """Record a trial's epochs as its metrics and end it; the oracle scores its best epoch."""
        trial.metrics = MetricsTracker()
        for name in (n for n in rows[0] if n != "epoch"):
            trial.metrics.register(name, "max" if any(word in name for word in MAXIMISED) else "min")
        for row in rows:
            for name, value in row.items():
                if name != "epoch":
                    trial.metrics.update(name, value, step=int(row["epoch"]))
        trial.status = TrialStatus.COMPLETED
        self.end_trial(trial)

    def fail(self, trial: Trial, reason: str) -> None:
        """End a trial that gave no result."""
        trial.status, trial.message = TrialStatus.FAILED, reason
        self.end_trial(trial)


class RandomOracle(SafeOracle, kt.oracles.RandomSearchOracle):
    """Keras Tuner's RandomSearch."""


class HyperbandOracle(SafeOracle, kt.oracles.HyperbandOracle):
    """Keras Tuner's Hyperband (Li et al. 2018, arXiv:1603.06560)."""


class BayesianOracle(SafeOracle, kt.oracles.BayesianOptimizationOracle):
    """Keras Tuner's BayesianOptimization; what is random in a proposal depends on the seed and its number alone."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        self._random_state = np.random.RandomState([self.seed, len(self.trials)])  # noqa: NPY002, what it draws from
        return super().populate_space(trial_id)


class GridOracle(SafeOracle, kt.oracles.GridSearchOracle):
    """Keras Tuner's GridSearch in its order, from its position alone; combinations already tried are passed over."""

    position: dict[str, Any] | None = None  # the values proposed last

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        while True:
            if self.position is None:
                hp = self.get_space()
                values = {choice.name: choice.default for choice in hp.space if hp.is_active(choice)}
            else:
                values = self._get_next_combination(self.position)
            if values is None:
                return {"status": TrialStatus.STOPPED, "values": None}
            self.position = dict(values)
            if not self._duplicate(values):
                return {"status": TrialStatus.RUNNING, "values": values}

    def get_state(self) -> dict[str, Any]:
        return super().get_state() | {"position": self.position}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self.position = state["position"]


def make_oracle(
    tuner: str,
    choices: kt.HyperParameters,
    folder: Path,
    *,
    seed: int,
    max_trials: int | None,
    max_epochs: int,
    factor: int,
) -> SafeOracle:
    """Return a new oracle whose files are in ``folder``.

    Args:
        tuner: one of TUNERS.
        choices: all choices of the space.
        folder: the run folder.
        seed: of the proposals.
        max_trials: how many trials there will be, if known: the Bayesian oracle's first third, at most three for each
            choice, are random.
        max_epochs: Hyperband's largest budget.
        factor: by which Hyperband cuts trials and raises epochs from rung to rung.
    """
    common: dict[str, Any] = {
        "objective": kt.Objective(OBJECTIVE, "max"),
        "hyperparameters": choices,
        "seed": seed + 1,  # Keras Tuner takes 0 for "draw a seed"
        "max_consecutive_failed_trials": 10**9,
    }
    oracle: SafeOracle
    if tuner == "hyperband":
        oracle = HyperbandOracle(max_epochs=max_epochs, factor=factor, **common)
    elif tuner == "bayesian":
        first = min(3 * len(choices.space), max(3, (max_trials or 10**9) // 3))
        oracle = BayesianOracle(max_trials=None, num_initial_points=first, **common)
    elif tuner == "grid":
        oracle = GridOracle(max_trials=None, **common)
    else:
        oracle = RandomOracle(max_trials=None, **common)
    oracle.verbose = 0
    oracle._set_project_dir(str(folder.parent), folder.name)
    return oracle
