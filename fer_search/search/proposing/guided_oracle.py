"""The guided oracle: which design is trained next, and how far, decided by a model of all learning curves so far.

A search begins with the baselines, the space's default design if it is none of them, and a few random designs, each
trained to the first rung. From then on every proposal is the likeliest improvement on the best fully trained design:
either a new design, trained to the first rung, or one whose training was stopped, resumed from its checkpoint to the
next rung. Nothing is discarded: a design that was stopped is resumed as soon as the model expects more of it than of
any other.

The last trials of a limited number, or of a time budget, go to the last rung at once, so that a search does not end
without a fully trained proposal to recommend and a baseline to compare it with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras_tuner as kt
import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus

from fer_search.choices import fill_defaults
from fer_search.search.proposing.encoding import Encoding
from fer_search.search.proposing.learning_curves import LearningCurves, Observations, expected_improvement
from fer_search.search.proposing.safe_oracle import ENDED, SafeOracle
from fer_search.search.proposing.threads import one_thread
from fer_search.search.proposing.trainings import Training, full_trainings_are_due, unfinished_kinds
from fer_search.tuner_entries import (
    BRACKET,
    EPOCHS,
    INITIAL_EPOCH,
    PARENT,
    ROUND,
    TIME_IS_SHORT,
    without_tuner_entries,
)

RANDOM = 6  # designs, baselines included, before the model decides
CANDIDATES = 300  # random designs that compete for a proposal
AROUND = 5  # designs with the best forecasts, whose neighbours compete too
LOSS_UNIT = 2.0  # spread of cross-entropies over that of accuracies (2.1 in the recorded micro_table.csv)


class GuidedOracle(SafeOracle):
    """Freeze-thaw Bayesian optimisation over rungs (see the module, and ``learning_curves``).

    What is random in a proposal depends on the seed and the trial's number only.

    Args:
        rungs: From ``rung_epochs``.
        full_baselines: Train baselines to the last rung at once.
    """

    def __init__(self, *args: Any, rungs: list[int], full_baselines: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.rungs, self.full_baselines = rungs, full_baselines
        self.baselines: list[str] = []  # trials that were not proposed
        self._short_at: int | None = None  # number of the trial for which time was found to be short

    def adopt_baseline(self, hyperparameters: kt.HyperParameters) -> Trial:
        """Begin a baseline, at the first rung."""
        hyperparameters.values |= self._first_budget(self.full_baselines)
        self.baselines.append(f"{len(self.trials):04d}")
        return self.adopt(hyperparameters)

    def get_state(self) -> dict[str, Any]:
        return super().get_state() | {"baselines": self.baselines}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self.baselines = list(state["baselines"])

    def _compute_values_hash(self, values: dict[str, Any]) -> str:
        """A design is the same with any number of epochs."""
        return str(super()._compute_values_hash(without_tuner_entries(values)))

    def short_of_time(self, epochs_left: float | None) -> bool:
        number = len(self.trials)
        if epochs_left is not None and full_trainings_are_due(self.trainings(), self.rungs, epochs_left):
            self._short_at = number  # also when asked again after a wait for results, as when the oracle is rebuilt
        return self._short_at == number

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        proposal = self._propose()
        if self.time_is_short and "values" in proposal:
            proposal["values"] |= {TIME_IS_SHORT: True}
        return proposal

    def _propose(self) -> dict[str, Any]:
        trainings = self.trainings()
        unfinished = unfinished_kinds(trainings, len(self.rungs) - 1)
        # two proposals are both trained fully: too few to choose one from and resume it
        reserved = 2 if all(training.baseline for training in trainings) else 1
        few_left = self.trials_left is not None and self.trials_left <= max(len(unfinished), reserved)
        full = few_left or self.time_is_short
        if full and unfinished:
            alternatives = [t for t in trainings if t.baseline == unfinished[0]]
            if any(training.pending for training in alternatives):  # the best may be among them
                return {"status": TrialStatus.IDLE}
            if (best := self._best_stopped(trainings, alternatives)) is not None:
                return {"status": TrialStatus.RUNNING, "values": self._resume(best, full)}
        if all(training.baseline for training in trainings) and (values := self._default_values()) is not None:
            return {"status": TrialStatus.RUNNING, "values": values | self._first_budget(full)}
        if len(trainings) < RANDOM or not any(training.scores for training in trainings):
            return self._random(full)
        with one_thread():
            values = self._decide(trainings, np.random.default_rng([self.seed, len(self.trials)]), full)
        return {"status": TrialStatus.RUNNING, "values": values} if values else self._random(full)

    def promotable(self) -> list[str]:
        """Return the trials that may still be resumed, the most promising first."""
        stopped = [t for t in self.trainings() if self._stopped(t)]
        return [t.trial_id for t in sorted(stopped, key=lambda t: (-t.rung, -t.scores[t.rung], t.trial_id))]

    @property
    def rung_count(self) -> int:
        return len(self.rungs)

    def rungs_left(self, values: Mapping[str, Any]) -> int:
        return len(self.rungs) - 1 - self._rung(values)

    def recommended(self) -> str | None:
        """Return the trial with the best forecast of those trained to the last rung; None if too little is known.

        A baseline is recommended unless a proposal's forecast exceeds it by more than the standard deviation of a
        single training: the best of many noisy scores is too good to be true.
        """
        trainings = self.trainings()
        finished = [k for k, training in enumerate(trainings) if self._finished(training)]
        if not finished or len(trainings) < RANDOM:
            return None
        encoding = Encoding(self.hyperparameters.space)
        with one_thread():
            model = LearningCurves(encoding.features(_rows(encoding, trainings)), self._observe(trainings))
            mean, _ = model.predict(model.features, np.arange(len(trainings)))
        best = max(finished, key=lambda k: (mean[k], -k))
        baseline = max((k for k in finished if trainings[k].baseline), key=lambda k: (mean[k], -k), default=best)
        return trainings[best if mean[best] > mean[baseline] + model.training_noise else baseline].trial_id

    def trainings(self) -> list[Training]:
        """Return all trainings, in the order in which they began."""
        by_trial: dict[str, Training] = {}
        trainings: list[Training] = []
        for trial_id in self.start_order:
            trial = self.trials[trial_id]
            values = trial.hyperparameters.values
            training = by_trial.get(values.get(PARENT) or "")
            if training is None:
                choices = without_tuner_entries(values)
                training = Training(choices, trial_id in self.baselines)
                trainings.append(training)
            by_trial[trial_id] = training
            training.trial_id = trial_id
            training.rung = self._rung(values)
            training.pending = trial.status not in ENDED
            training.failed = trial.status == TrialStatus.FAILED
            if trial.score is not None:
                training.scores[training.rung] = max([self._gain(trial.score), *training.scores.values()])
        return trainings

    def _gain(self, score: float) -> float:
        """Return a score as the model sees it: more is better, and differences are of the size of accuracies'."""
        return -score / LOSS_UNIT if self.objective.direction == "min" else score

    def _rung(self, values: Mapping[str, Any]) -> int:
        return int(values.get(ROUND, len(self.rungs) - 1))

    def _stopped(self, training: Training) -> bool:
        return not training.pending and not training.failed and training.rung < len(self.rungs) - 1

    def _finished(self, training: Training) -> bool:
        return not training.pending and not training.failed and training.rung == len(self.rungs) - 1

    def _best_stopped(self, trainings: list[Training], alternatives: list[Training]) -> Training | None:
        """Return the best of some trainings that were stopped: by score before the model decides, then by forecast."""
        stopped = [training for training in alternatives if self._stopped(training)]
        if not stopped or len(trainings) < RANDOM:
            return max(stopped, key=lambda training: (training.rung, training.scores[training.rung]), default=None)
        encoding = Encoding(self.hyperparameters.space)
        with one_thread():
            model = self._model(encoding.features(_rows(encoding, trainings)), trainings)
            mean, _ = model.predict(model.features, np.arange(len(trainings)))
        return max(stopped, key=lambda training: float(mean[trainings.index(training)]))

    def _budget(self, rung: int, trained: int = 0) -> dict[str, Any]:
        return {EPOCHS: self.rungs[rung], INITIAL_EPOCH: trained, BRACKET: 0, ROUND: rung}

    def _first_budget(self, full: bool) -> dict[str, Any]:
        return self._budget(len(self.rungs) - 1 if full else 0)

    def _default_values(self) -> dict[str, Any] | None:
        """Return the space's defaults, which its author considers good; None if they were tried."""
        defaults = self.hyperparameters.copy()
        defaults.values = {}
        values: dict[str, Any] = fill_defaults(defaults).values
        return None if self._duplicate(values) else values

    def _random(self, full: bool) -> dict[str, Any]:
        values = self._random_values()
        if values is None:
            return {"status": TrialStatus.IDLE if self.ongoing_trials else TrialStatus.STOPPED}
        return {"status": TrialStatus.RUNNING, "values": values | self._first_budget(full)}

    def _decide(self, trainings: list[Training], rng: np.random.Generator, full: bool) -> dict[str, Any] | None:
        """Return the values of the next trial; None if no new design was found and none can be resumed."""
        encoding = Encoding(self.hyperparameters.space)
        known = _rows(encoding, trainings)
        model = self._model(encoding.features(known), trainings)
        mean, deviation = model.predict(model.features, np.arange(len(trainings)))
        stopped = np.array([self._stopped(training) for training in trainings])
        if (first := self._unfinished_baseline(trainings, mean, stopped)) is not None:
            return self._resume(first, full)
        finished = np.array([self._finished(training) for training in trainings])
        best = float(mean[finished].max() if finished.any() else mean.max())
        gains = np.where(stopped, expected_improvement(mean, deviation, best), -1.0)
        new = self._candidates(encoding, known, mean, rng)
        new_gains = expected_improvement(*model.predict(encoding.features(new)), best) if len(new) else np.array([-1.0])
        if gains.max() >= new_gains.max():
            return self._resume(trainings[int(np.argmax(gains))], full) if stopped.any() else None
        return encoding.values(new[int(np.argmax(new_gains))]) | self._first_budget(full)

    def _unfinished_baseline(self, trainings: list[Training], mean: np.ndarray, stopped: np.ndarray) -> Training | None:
        """Return the most promising baseline until one is trained to the last rung: what gains are measured against."""
        if any(t.baseline and (t.pending or self._finished(t)) for t in trainings):
            return None
        waiting = [k for k, t in enumerate(trainings) if t.baseline and stopped[k]]
        return trainings[max(waiting, key=lambda k: (mean[k], -k))] if waiting else None

    def _resume(self, training: Training, full: bool) -> dict[str, Any]:
        """Return the values of a trial that resumes a training, to the next rung or to the last one."""
        rung = len(self.rungs) - 1 if full else training.rung + 1
        return training.values | self._budget(rung, self.rungs[training.rung]) | {PARENT: training.trial_id}

    def _model(self, features: list[np.ndarray], trainings: list[Training]) -> LearningCurves:
        """Return the model; pending trials count as observed with their expected scores ("kriging believer")."""
        model = LearningCurves(features, self._observe(trainings))
        pending = np.array([k for k, training in enumerate(trainings) if training.pending], int)
        if not len(pending):
            return model
        seen = model.seen
        fractions = np.array([self._fraction(trainings[k].rung) for k in pending])
        expected = [
            model.predict([f[[k]] for f in features], np.array([k]), at)[0][0]
            for k, at in zip(pending, fractions, strict=True)
        ]
        believed = Observations(
            np.append(seen.design, pending), np.append(seen.fraction, fractions), np.append(seen.score, expected)
        )
        return LearningCurves(features, believed)

    def _observe(self, trainings: list[Training]) -> Observations:
        """Return all scores; a failed trial counts as the worst one."""
        worst = min(min(training.scores.values()) for training in trainings if training.scores)
        seen = [(k, rung, score) for k, t in enumerate(trainings) for rung, score in t.scores.items()]
        seen += [(k, t.rung, worst) for k, t in enumerate(trainings) if t.failed]
        design, rungs, scores = zip(*seen, strict=True)
        return Observations(np.array(design), np.array([self._fraction(r) for r in rungs]), np.array(scores))

    def _fraction(self, rung: int) -> float:
        return self.rungs[rung] / self.rungs[-1]

    def _candidates(
        self, encoding: Encoding, known: np.ndarray, mean: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Return new designs: random ones, and the neighbours of those with the best forecasts; float (n, choices)."""
        drawn = rng.random((CANDIDATES, len(encoding.free)))
        best = known[np.argsort(-mean, kind="stable")[:AROUND]]
        rows = encoding.snap(np.concatenate([drawn, *(encoding.neighbours(row, rng) for row in best)]))
        taken = {row.tobytes() for row in np.round(known, 6)}
        fresh = [row.tobytes() not in taken for row in np.round(rows, 6)]
        untried: np.ndarray = rows[np.array(fresh)]
        return untried


def _rows(encoding: Encoding, trainings: list[Training]) -> np.ndarray:
    return encoding.snap(np.stack([encoding.row(training.values) for training in trainings]))
