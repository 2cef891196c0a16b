"""The search methods that the replay compares, each run through its own code with the epochs of one replay.

A method gets a ``Replay``, which trains designs on the surrogate and counts their epochs, and reports which design it
would recommend. Ours and Keras Tuner's methods are oracles, used as in a search but without files; Optuna's are
samplers and pruners with an ask-and-tell interface, updated every epoch.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras_tuner as kt
import numpy as np
from keras_tuner.engine import hyperparameters as kinds
from keras_tuner.src.engine.metrics_tracking import MetricsTracker
from surrogate import Surrogate

from fer_search.search.proposing.guided_oracle import GuidedOracle
from fer_search.search.proposing.oracles import make_oracle

COMMONEST = 0.247  # accuracy of always predicting the majority class
WASTED = COMMONEST + 0.02  # a training run that stays below has learned nothing


class BudgetSpent(Exception):
    """The epochs of a replay are used up."""


@dataclass
class Step:
    """Some epochs of a training run.

    Args:
        spent: Total number of epochs spent by then.
        design: What was trained.
        best: Its best accuracy.
        epochs: Its number of epochs.
        baseline: Whether it began as a baseline with this step.
    """

    spent: int
    design: dict[str, Any]
    best: float
    epochs: int
    baseline: bool


@dataclass
class Replay:
    """One repetition of a search on a surrogate.

    Args:
        surrogate: Surrogate that provides the learning curves.
        space: Choices of the space.
        baselines: Values of the designs known from the start.
        seed: Random seed for training runs and method.
        epochs: Budget in epochs.
        marks: Numbers of spent epochs at which the recommended design is recorded.
        fixed_cost: Epochs that a new design costs besides those that it is trained for.
    """

    surrogate: Surrogate
    space: kt.HyperParameters
    baselines: list[dict[str, Any]]
    seed: int
    epochs: int
    marks: tuple[int, ...]
    fixed_cost: int = 0
    spent: int = 0
    steps: list[Step] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    recommended: dict[int, dict[str, Any]] = field(default_factory=dict)
    recommend: Callable[[], dict[str, Any] | None] = lambda: None
    trained: dict[tuple, int] = field(default_factory=dict)

    def curve(self, values: Mapping[str, Any]) -> np.ndarray:
        """Return the accuracies of a design's training run in this replay."""
        key = self.surrogate.key(values)
        return self.surrogate.curve(values, self.seed, *key)

    def train(self, values: Mapping[str, Any], start: int, end: int, baseline: bool = False) -> np.ndarray:
        """Train a design from after epoch ``start`` to ``end``; return these epochs' accuracies.

        Raises:
            BudgetSpent: Not enough epochs are left.
        """
        spent = self.spent + end - start + (self.fixed_cost if start == 0 else 0)
        while self.marks_due(spent):
            self.recommended[self.marks_due(spent)] = self.recommend() or self.best_design()
        if spent > self.epochs:
            raise BudgetSpent
        design = {k: v for k, v in values.items() if not k.startswith("tuner/")}
        curve = self.curve(design)
        self.spent = spent
        self.steps.append(Step(self.spent, design, float(curve[:end].max()), end, baseline))
        return curve[start:end]

    def marks_due(self, spent: int) -> int:
        """Return the first mark up to ``spent`` epochs that has no recommendation yet, or 0."""
        return next((mark for mark in self.marks if mark < spent and mark not in self.recommended), 0)

    def best_design(self) -> dict[str, Any]:
        """Return the design with the best accuracy so far."""
        return max(self.steps, key=lambda step: step.best).design if self.steps else self.space.values


Method = Callable[[Replay], None]


def run(method: Method, replay: Replay) -> Replay:
    """Let a method spend the epochs of a replay."""
    with contextlib.suppress(BudgetSpent):
        method(replay)
    for mark in replay.marks:
        replay.recommended.setdefault(mark, replay.recommend() or replay.best_design())
    return replay


def ours(
    tuner: str, min_epochs: int = 1, baselines_in_rungs: bool = True, most: int = 10**6, in_time: bool = False
) -> Method:
    """Return one of our tuners; with ``in_time`` it knows how many epochs are left, as with --time-budget."""

    def method(replay: Replay) -> None:
        last, options = replay.surrogate.epochs, {"min_epochs": min_epochs, "full_baselines": not baselines_in_rungs}
        for repetition in range(most):  # Hyperband ends by itself and is then restarted
            oracle = make_oracle(
                tuner,
                replay.space.copy(),
                Path("none"),
                seed=1000 * repetition + replay.seed,
                max_trials=45,
                max_epochs=last,
                factor=3,
                **options,
            )
            _silence(oracle)
            if isinstance(oracle, GuidedOracle):
                replay.recommend = lambda oracle=oracle: _values_of(oracle, oracle.recommended())
            for values in replay.baselines if not repetition else ():
                hp = replay.space.copy()
                hp.values = dict(values)
                _train_trial(replay, oracle, oracle.adopt_baseline(hp), baseline=True)
            _ask_and_tell(replay, oracle, in_time)

    return method


def keras_tuner_stock(kind: type, **options: Any) -> Method:
    """Return a stock Keras Tuner oracle that runs after the baselines and does not know them."""

    def method(replay: Replay) -> None:
        for values in replay.baselines:
            replay.train(values, 0, replay.surrogate.epochs, baseline=True)
        for repetition in range(1000):
            objective = kt.Objective("val_accuracy", "max")
            space = replay.space.copy()
            oracle = kind(
                objective=objective, hyperparameters=space, seed=1 + replay.seed + 1000 * repetition, **options
            )
            _silence(oracle)
            _ask_and_tell(replay, oracle)

    return method


def one_epoch_top_k(replay: Replay) -> None:
    """Spend half of the epochs on training random designs for one epoch, then train the best of them fully.

    After Egele et al. 2023 (arXiv:2307.15422); the budget must be known in advance.
    """
    last, rng = replay.surrogate.epochs, np.random.default_rng([replay.seed, 5])
    for values in replay.baselines:
        replay.train(values, 0, last, baseline=True)
    drawn = []
    for _ in range((replay.epochs - replay.spent) // 2):
        hp = replay.space.copy()
        values = _random(hp, rng)
        drawn.append((float(replay.train(values, 0, 1)[-1]), len(drawn), values))
    for _, _, values in sorted(drawn, key=lambda result: -result[0]):
        replay.train(values, 1, last)


def optuna_tpe(pruner: str) -> Method:
    """Return Optuna's multivariate TPE with a pruner: "none", "median" or "hyperband"."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

    def method(replay: Replay) -> None:
        last = replay.surrogate.epochs
        pruners = {
            "none": optuna.pruners.NopPruner(),
            "median": optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
            "hyperband": optuna.pruners.HyperbandPruner(min_resource=1, max_resource=last, reduction_factor=3),
        }
        sampler = optuna.samplers.TPESampler(multivariate=True, group=True, seed=replay.seed)
        study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruners[pruner])
        for values in replay.baselines:
            study.enqueue_trial(dict(values))
        for number in range(10**6):
            began = time.perf_counter()
            trial = study.ask()
            values = _suggest(trial, replay.space)
            replay.seconds.append(time.perf_counter() - began)
            baseline, best, pruned = number < len(replay.baselines), 0.0, False
            for epoch in range(last):
                best = max(best, float(replay.train(values, epoch, epoch + 1, baseline)[0]))
                trial.report(best, epoch + 1)
                if not baseline and epoch + 1 < last and trial.should_prune():
                    pruned = True
                    break
            study.tell(trial, None if pruned else best, optuna.trial.TrialState.PRUNED if pruned else None)

    return method


def _ask_and_tell(replay: Replay, oracle: kt.Oracle, in_time: bool = False) -> None:
    while True:
        began = time.perf_counter()
        if in_time:
            oracle.time_is_short = oracle.short_of_time(replay.epochs - replay.spent)
        trial = oracle.create_trial("tuner0")
        replay.seconds.append(time.perf_counter() - began)
        if trial.status != "RUNNING":
            return
        _train_trial(replay, oracle, trial, baseline=False)


def _train_trial(replay: Replay, oracle: kt.Oracle, trial: Any, baseline: bool) -> None:
    values = trial.hyperparameters.values
    start = values.get("tuner/initial_epoch", 0)
    curve = replay.train(values, start, values.get("tuner/epochs", replay.surrogate.epochs), baseline)
    trial.metrics = MetricsTracker()
    trial.metrics.register("val_accuracy", "max")
    for k, accuracy in enumerate(curve):
        trial.metrics.update("val_accuracy", float(accuracy), step=start + k + 1)
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def _values_of(oracle: kt.Oracle, trial_id: str | None) -> dict[str, Any] | None:
    if trial_id is None:
        return None
    values = oracle.trials[trial_id].hyperparameters.values
    return {k: v for k, v in values.items() if not k.startswith("tuner/")}


def _silence(oracle: Any) -> None:
    """Stop an oracle from writing files and printing."""
    oracle.verbose = 0
    oracle.save = lambda *_: None
    oracle._save_trial = lambda trial: None
    oracle._display.verbose = 0


def _random(hp: kt.HyperParameters, rng: np.random.Generator) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for choice in hp.space:
        if all(values.get(c.name) in c.values for c in choice.conditions):
            values[choice.name] = choice.prob_to_value(rng.random())
    return values


def _suggest(trial: Any, space: kt.HyperParameters) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for choice in space.space:
        if not all(values.get(c.name) in c.values for c in choice.conditions):
            continue
        if isinstance(choice, kinds.Fixed):
            values[choice.name] = choice.value
        elif isinstance(choice, kinds.Float):
            log = choice.sampling == "log"
            values[choice.name] = trial.suggest_float(choice.name, choice.min_value, choice.max_value, log=log)
        else:
            values[choice.name] = trial.suggest_categorical(choice.name, list(choice.values))
    return values
