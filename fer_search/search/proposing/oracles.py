"""Keras Tuner's oracles, made safe to kill and exact to resume.

What a proposal depends on is all in oracle.json and in the trials that ended, and every file is replaced whole. Keras
Tuner 1.4.8 writes its JSON files in place, lists a trial as ongoing after it ended, forgets GridSearch's position and
the Bayesian oracle's random state at a reload, and ends a search at the third failure in a row.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras_tuner as kt
import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.src.engine.metrics_tracking import MetricsTracker
from threadpoolctl import threadpool_limits

from fer_search.errors import UserError
from fer_search.files import write_json
from fer_search.runfolder.epochs import Row
from fer_search.search.proposing.gaussian_process import propose

OBJECTIVE = "val_accuracy"
TUNERS = ("hyperband", "bayesian", "random", "grid")
TUNER_ID = "tuner0"  # Keras Tuner's name for the only worker
MAXIMISED = ("accuracy", "recall")
BROKEN = 4  # exit code
ENDED = (TrialStatus.COMPLETED, TrialStatus.FAILED)


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
        state["tried_so_far"] = sorted(state["tried_so_far"])  # a set, whose order is another in each process
        return state

    def restore(self) -> None:
        """Take up the search where its folder is.

        A trial whose start was not recorded yet is proposed again; one whose result was written, but not yet entered
        in oracle.json, is entered; one that was running stays the ongoing one.

        Raises:
            UserError: a file is missing or broken (exit code 4).
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
                f"{file} cannot be read ({reason}); fer-search doctor {self._project_dir} --repair mends it, or says "
                "why not",
                BROKEN,
            ) from error
        for trial in list(self.ongoing_trials.values()):
            if trial.status in ENDED:
                self.end_trial(trial)

    def ongoing(self) -> Trial | None:
        """Return the trial that an interruption left unfinished."""
        return self.ongoing_trials.get(TUNER_ID)

    def adopt(self, hyperparameters: kt.HyperParameters) -> Trial:
        """Start a trial that the oracle did not propose (a baseline); the oracle knows its result as any other."""
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
    """Keras Tuner's Hyperband (Li et al. 2018, arXiv:1603.06560), its brackets and rungs.

    Keras Tuner 1.4.8 counts completed trials alone, so that a rung with a failed one never lets as many go on as it
    should, and it ends the search where a small space cannot fill a rung. Here a failed trial ranks last, and a rung
    that cannot be filled goes on with what it has. Without failures the proposals are Keras Tuner's.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        self._remove_completed_brackets()
        while True:
            for bracket in self._brackets:
                if values := self._next_of(bracket, trial_id):
                    return {"status": TrialStatus.RUNNING, "values": values}
            if self._current_bracket == 0 and self._current_iteration + 1 >= self.hyperband_iterations:
                return {"status": TrialStatus.IDLE if self.ongoing_trials else TrialStatus.STOPPED}
            self._increment_bracket_num()
            self._start_new_bracket()

    def promotable(self) -> list[str]:
        """Return the trials that a later one may go on from, the likeliest first."""
        found: list[Trial] = []
        for bracket in self._brackets:
            for rung in range(1, len(bracket["rounds"])):
                places = self._target(bracket, rung) - len(bracket["rounds"][rung])
                waiting = [t for t in self._waiting(bracket, rung) if t.status == TrialStatus.COMPLETED]
                found += sorted(waiting, key=_score)[: max(places, 0)]
        return [trial.trial_id for trial in sorted(found, key=_score)]

    def _next_of(self, bracket: dict[str, Any], trial_id: str) -> dict[str, Any] | None:
        """Return the values of a bracket's next trial; None where it has none to start now."""
        number, rounds = bracket["bracket_num"], bracket["rounds"]
        if not bracket.get("exhausted") and len(rounds[0]) < self._get_size(number, 0):
            drawn = self._random_trial(trial_id, bracket)
            if drawn["status"] == TrialStatus.RUNNING:
                return drawn["values"]
            bracket["exhausted"] = True  # the space has no more designs
        for rung in range(1, len(rounds)):
            if (best := self._promoted(bracket, rung)) is None:
                continue
            rounds[rung].append({"past_id": best.trial_id, "id": trial_id})
            return best.hyperparameters.values | {
                "tuner/trial_id": best.trial_id,
                "tuner/epochs": self._get_epochs(number, rung),
                "tuner/initial_epoch": self._get_epochs(number, rung - 1),
                "tuner/bracket": number,
                "tuner/round": rung,
            }
        return None

    def _promoted(self, bracket: dict[str, Any], rung: int) -> Trial | None:
        """Return the trial that goes on to a rung next, once enough of those below it have ended."""
        target, waiting = self._target(bracket, rung), self._waiting(bracket, rung)
        completed = [trial for trial in waiting if trial.status == TrialStatus.COMPLETED]
        if len(bracket["rounds"][rung]) >= target or len(waiting) <= self._target(bracket, rung - 1) - target:
            return None
        return min(completed, key=_score, default=None)

    def _waiting(self, bracket: dict[str, Any], rung: int) -> list[Trial]:
        """Return the trials of the rung below that ended and have not gone on."""
        taken = {entry["past_id"] for entry in bracket["rounds"][rung]}
        below = [self.trials[entry["id"]] for entry in bracket["rounds"][rung - 1] if entry["id"] in self.trials]
        return [t for t in below if t.status in ENDED and t.trial_id not in taken]

    def _target(self, bracket: dict[str, Any], rung: int) -> int:
        """Return how many trials a rung gets: fewer than planned where too few below it completed."""
        size = self._get_size(bracket["bracket_num"], rung)
        entries = bracket["rounds"][max(rung - 1, 0)]
        if rung == 0:
            return len(entries) if bracket.get("exhausted") else size
        failed = sum(self.trials[e["id"]].status == TrialStatus.FAILED for e in entries if e["id"] in self.trials)
        return min(size, self._target(bracket, rung - 1) - failed)


def _score(trial: Trial) -> tuple[float, str]:
    return -trial.score, trial.trial_id


class BayesianOracle(SafeOracle, kt.oracles.BayesianOptimizationOracle):
    """Keras Tuner's BayesianOptimization with a quicker and better informed Gaussian process (see ``gaussian``).

    What is random in a proposal depends on the seed and its number alone. A failed trial counts as the worst one.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        completed = [trial for trial in self.trials.values() if trial.status == TrialStatus.COMPLETED]
        if len(completed) < self.num_initial_points:
            return self._random_populate_space()
        worst = min(trial.score for trial in completed)
        ended = [trial for trial in self.trials.values() if trial.status in ENDED]
        scores = np.array([worst if trial.score is None else trial.score for trial in ended])
        tried = [trial.hyperparameters.values for trial in ended]
        running = [t.hyperparameters.values for t in self.trials.values() if t.status not in ENDED]
        rng = np.random.default_rng([self.seed, len(self.trials)])
        with threadpool_limits(1, user_api="blas"):  # its matrices are small: more threads wait for each other
            values = propose(self.hyperparameters.space, tried, scores, self.beta, rng, running)
        if values is None or self._duplicate(values):
            return self._random_populate_space()
        return {"status": TrialStatus.RUNNING, "values": values}


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
