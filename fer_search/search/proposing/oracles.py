"""The oracles: Keras Tuner's search algorithms with our corrections."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras_tuner as kt
import numpy as np
from keras_tuner.engine import hyperparameters as kinds
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.src.tuners import bayesian

from fer_search.choices import fill_defaults
from fer_search.errors import UserError
from fer_search.runfolder.objective import ACCURACY, Objective
from fer_search.search.proposing.gaussian_process import propose
from fer_search.search.proposing.guided_oracle import RANDOM, GuidedOracle
from fer_search.search.proposing.safe_oracle import ENDED, SafeOracle
from fer_search.search.proposing.threads import one_thread
from fer_search.search.proposing.trainings import rung_epochs
from fer_search.search.settings import DEFAULT_TRIALS, Settings
from fer_search.space import Space
from fer_search.tuner_entries import BRACKET, EPOCHS, INITIAL_EPOCH, PARENT, ROUND

TUNERS = ("guided", "hyperband", "bayesian", "random", "grid")


class RandomOracle(SafeOracle, kt.oracles.RandomSearchOracle):
    """Keras Tuner's RandomSearch."""


class HyperbandOracle(SafeOracle, kt.oracles.HyperbandOracle):
    """Keras Tuner's Hyperband (Li et al. 2018, arXiv:1603.06560), its brackets and rungs.

    Keras Tuner 1.4.8 counts completed trials only, so a rung with a failed trial promotes fewer than it should, and the
    search ends if a small space cannot fill a rung. Here a failed trial ranks last, and a rung that cannot be filled
    promotes from the trials it has. Without failures the proposals are identical to Keras Tuner's.

    Baselines are trials of the first bracket's first rung like any other, unless ``full_baselines``.
    """

    full_baselines = True

    def start_at(self, min_epochs: int) -> None:
        """Begin the brackets with so many epochs at least. Call it on a new oracle only."""
        self.min_epochs = min_epochs
        self._brackets.clear()
        self._current_bracket = self._get_num_brackets() - 1
        self._start_new_bracket()

    def adopt_baseline(self, hyperparameters: kt.HyperParameters) -> Trial:
        if not self.full_baselines:
            bracket = self._brackets[0]
            budget = {EPOCHS: self._get_epochs(bracket["bracket_num"], 0), INITIAL_EPOCH: 0}
            hyperparameters.values |= budget | {BRACKET: bracket["bracket_num"], ROUND: 0}
            bracket["rounds"][0].append({"past_id": None, "id": f"{len(self.trials):04d}"})
        return self.adopt(hyperparameters)

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

    def check_state(self) -> None:
        super().check_state()
        self.promotable()

    @property
    def rung_count(self) -> int:
        return int(self._get_num_brackets())

    def rungs_left(self, values: Mapping[str, Any]) -> int:
        return int(values.get(BRACKET, 0)) - int(values.get(ROUND, 0))

    def promotable(self) -> list[str]:
        """Return the trials that may still be promoted, the most promising first."""
        candidates: list[Trial] = []
        for bracket in self._brackets:
            for rung in range(1, len(bracket["rounds"])):
                places = self._target(bracket, rung) - len(bracket["rounds"][rung])
                waiting = [t for t in self._waiting(bracket, rung) if t.status == TrialStatus.COMPLETED]
                candidates += sorted(waiting, key=self._rank)[: max(places, 0)]
        return [trial.trial_id for trial in sorted(candidates, key=self._rank)]

    def _next_of(self, bracket: dict[str, Any], trial_id: str) -> dict[str, Any] | None:
        """Return the values of a bracket's next trial; None if none can begin now."""
        number, rounds = bracket["bracket_num"], bracket["rounds"]
        if not bracket.get("exhausted") and len(rounds[0]) < self._get_size(number, 0):
            drawn = self._random_trial(trial_id, bracket)
            if drawn["status"] == TrialStatus.RUNNING:
                values: dict[str, Any] = drawn["values"]
                return values
            bracket["exhausted"] = True  # the space has no untried design left
        for rung in range(1, len(rounds)):
            if (best := self._promoted(bracket, rung)) is None:
                continue
            rounds[rung].append({"past_id": best.trial_id, "id": trial_id})
            values = best.hyperparameters.values | {
                PARENT: best.trial_id,
                EPOCHS: self._get_epochs(number, rung),
                INITIAL_EPOCH: self._get_epochs(number, rung - 1),
                BRACKET: number,
                ROUND: rung,
            }
            return values
        return None

    def _promoted(self, bracket: dict[str, Any], rung: int) -> Trial | None:
        """Return the trial to promote to a rung next, once enough trials of the rung below have ended."""
        target, waiting = self._target(bracket, rung), self._waiting(bracket, rung)
        completed = [trial for trial in waiting if trial.status == TrialStatus.COMPLETED]
        if len(bracket["rounds"][rung]) >= target or len(waiting) <= self._target(bracket, rung - 1) - target:
            return None
        return min(completed, key=self._rank, default=None)

    def _waiting(self, bracket: dict[str, Any], rung: int) -> list[Trial]:
        """Return the trials of the rung below that ended and were not promoted."""
        taken = {entry["past_id"] for entry in bracket["rounds"][rung]}
        below = [self.trials[entry["id"]] for entry in bracket["rounds"][rung - 1] if entry["id"] in self.trials]
        return [t for t in below if t.status in ENDED and t.trial_id not in taken]

    def _target(self, bracket: dict[str, Any], rung: int) -> int:
        """Return the number of trials of a rung: fewer than planned if too few of the rung below completed."""
        size: int = self._get_size(bracket["bracket_num"], rung)
        entries = bracket["rounds"][max(rung - 1, 0)]
        if rung == 0:
            return len(entries) if bracket.get("exhausted") else size
        failed: int = sum(self.trials[e["id"]].status == TrialStatus.FAILED for e in entries if e["id"] in self.trials)
        return min(size, self._target(bracket, rung - 1) - failed)

    def _rank(self, trial: Trial) -> tuple[float, str]:
        """Return a sorting key that puts the best trial first."""
        return (-trial.score if self.objective.direction == "max" else trial.score), trial.trial_id


class BayesianOracle(SafeOracle, kt.oracles.BayesianOptimizationOracle):
    """Keras Tuner's BayesianOptimization with a faster and better fitted model (see ``gaussian_process``).

    The random numbers of a proposal depend on the seed and the trial's number only. A failed trial counts as the worst.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        if bayesian.sklearn is None:  # ``fast_imports`` skipped it; Keras Tuner makes a model of it, which is not used
            import sklearn
            import sklearn.gaussian_process

            bayesian.sklearn = sklearn
        super().__init__(*args, **options)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        completed = [trial for trial in self.trials.values() if trial.status == TrialStatus.COMPLETED]
        if len(completed) < self.num_initial_points:
            drawn: dict[str, Any] = self._random_populate_space()
            return drawn
        sign = 1 if self.objective.direction == "max" else -1
        worst = min(sign * trial.score for trial in completed)
        ended = [trial for trial in self.trials.values() if trial.status in ENDED]
        scores = np.array([worst if trial.score is None else sign * trial.score for trial in ended])
        tried = [trial.hyperparameters.values for trial in ended]
        running = [t.hyperparameters.values for t in self.trials.values() if t.status not in ENDED]
        rng = np.random.default_rng([self.seed, len(self.trials)])
        with one_thread():
            values = propose(self.hyperparameters.space, tried, scores, self.beta, rng, running)
        if values is None or self._duplicate(values):
            drawn = self._random_populate_space()
            return drawn
        return {"status": TrialStatus.RUNNING, "values": values}


class GridOracle(SafeOracle, kt.oracles.GridSearchOracle):
    """Keras Tuner's GridSearch in its order, resumable from its position; combinations already tried are skipped."""

    position: dict[str, Any] | None = None  # values of the last proposal

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


def oracle_for(settings: Settings, space: Space, images: int, objective: Objective = ACCURACY) -> SafeOracle:
    """Return the oracle of a run that trains on so many images, before its first proposal.

    Raises:
        UserError: The Bayesian oracle would have nothing to propose.
    """
    options: dict[str, Any] = {
        "seed": settings.seed,
        "max_trials": settings.max_trials,
        "max_epochs": settings.max_epochs,
        "factor": settings.factor,
        "objective": objective,
    }
    choices = space.choices()
    if settings.tuner == "bayesian" and settings.baselines != "only" and not _varied(choices):
        raise UserError(f"{space.path}: no choice varies, so there is nothing to propose; use --baselines only")
    return make_oracle(settings.tuner, choices, settings.folder, **options, **rung_options(settings, space, images))


def rung_options(settings: Settings, space: Space, images: int) -> dict[str, Any]:
    """Return the options of ``make_oracle`` that say where rungs begin, and whether baselines begin there.

    The first rung is after --min-steps of the default design, but no later than a factor before the last one, so that
    there is something to decide. Baselines of a guided search go to the last rung at once if it trains nothing else, or
    if there is one and the trials are too few for the model to decide: resuming it would take one of them.
    """
    defaults = fill_defaults(space.choices())
    steps = math.ceil(images / space.design(defaults).optimisation.batch_size)
    earliest = min(math.ceil((settings.min_steps or 0) / steps), settings.max_epochs // settings.factor)
    full = settings.min_steps == 0 or settings.repeats > 1 or settings.baselines == "only"
    if settings.tuner == "guided" and settings.max_trials is not None:
        full |= settings.max_trials <= (RANDOM if len(space.baselines) == 1 else len(space.baselines))
    return {"min_epochs": max(earliest, 1), "full_baselines": full}


def _varied(choices: kt.HyperParameters) -> bool:
    """Return whether any choice has more than one value."""
    return any(not isinstance(choice, kinds.Fixed) for choice in choices.space)


def make_oracle(
    tuner: str,
    choices: kt.HyperParameters,
    folder: Path,
    *,
    seed: int,
    max_trials: int | None,
    max_epochs: int,
    factor: int,
    objective: Objective = ACCURACY,
    min_epochs: int = 1,
    full_baselines: bool = True,
) -> SafeOracle:
    """Return a new oracle that keeps its files in ``folder``.

    Args:
        tuner: One of TUNERS.
        choices: All choices of the space.
        folder: Run folder.
        seed: Random seed of the proposals.
        max_trials: Number of trials, if known. The first third of the Bayesian oracle's trials, at most three per
            choice, are random.
        max_epochs: Guided, Hyperband: largest number of epochs of a trial.
        factor: Guided, Hyperband: growth of epochs from rung to rung; Hyperband: reduction of trials too.
        min_epochs: Guided, Hyperband: epochs of the first rung.
        full_baselines: Guided, Hyperband: baselines are trained to the last rung at once.
        objective: What is optimised.
    """
    common: dict[str, Any] = {
        "objective": kt.Objective(objective.name, objective.direction),
        "hyperparameters": choices,
        "seed": seed + 1,  # Keras Tuner takes 0 for "draw a seed"
        "max_consecutive_failed_trials": 10**9,
    }
    oracle: SafeOracle
    if tuner == "guided":
        rungs = rung_epochs(min_epochs, max_epochs, factor)
        oracle = GuidedOracle(rungs=rungs, full_baselines=full_baselines, **common)
    elif tuner == "hyperband":
        oracle = HyperbandOracle(max_epochs=max_epochs, factor=factor, **common)
        oracle.full_baselines = full_baselines
        oracle.start_at(min_epochs)
    elif tuner == "bayesian":
        initial = min(3 * len(choices.space), max(3, (max_trials or DEFAULT_TRIALS) // 3))
        oracle = BayesianOracle(max_trials=None, num_initial_points=initial, **common)
    elif tuner == "grid":
        oracle = GridOracle(max_trials=None, **common)
    else:
        oracle = RandomOracle(max_trials=None, **common)
    oracle.verbose = 0
    oracle._set_project_dir(str(folder.parent), folder.name)
    return oracle
