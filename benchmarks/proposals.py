"""Quality and time of Bayesian proposals: ours compared with stock Keras Tuner's; time of guided's proposals.

    python benchmarks/proposals.py                    # 20 seeds of 40 trials; half an hour, nearly all for stock
    python benchmarks/proposals.py --seeds 3 --trials 30
    python benchmarks/proposals.py --only guided      # the time per proposal of --tuner guided at 200 trials

The simulated response surface resembles those of real searches: 15 choices (categories, numbers, a log-scale range, two
conditional ones), main effects of up to a few points of accuracy, most of them small, some interactions, and the noise
of a validation set. Regret is the noise-free difference between the best of 20,000 random designs and the best design
found. Both methods start from the same number of random designs.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import common
import keras_tuner as kt
import numpy as np

from fer_search import backend

backend.start()

from fer_search.search.proposing.oracles import BayesianOracle, SafeOracle, make_oracle  # noqa: E402

LISTS = (kt.engine.hyperparameters.Choice, kt.engine.hyperparameters.Boolean)
NOISE = 0.006  # standard error of an accuracy of 0.6 on 7,000 images


def make_space() -> kt.HyperParameters:
    """Return 15 choices like those of the search spaces."""
    hp = kt.HyperParameters()
    hp.Choice("family", ["residual", "plain", "backbone"])
    hp.Choice("downsample", ["max_pool", "strided", "average_pool", "blur_pool"])
    hp.Choice("filters", [32, 48, 64])
    hp.Int("blocks", 1, 4)
    hp.Choice("dense", [0, 128, 256, 512])
    hp.Float("dropout", 0.0, 0.6, step=0.1)
    hp.Choice("rotation", [0, 10, 20, 30])
    hp.Float("zoom", 0.0, 0.3, step=0.1)
    hp.Boolean("flip")
    hp.Choice("cutout", [0, 8, 16])
    hp.Choice("optimizer", ["adam", "sgd", "adamw"])
    hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
    hp.Choice("batch_size", [32, 64, 128, 256])
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("momentum", 0.8, 0.99, step=0.01)
    with hp.conditional_scope("optimizer", ["adamw"]):
        hp.Float("weight_decay", 1e-5, 1e-1, sampling="log")
    return hp


class Surface:
    """A simulated accuracy for every design."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.space = make_space()
        names = [choice.name for choice in self.space.space]
        size = 0.03 * rng.exponential(1.0, len(names)) * rng.choice([0.15, 1.0], len(names), p=[0.5, 0.5])
        self.size = dict(zip(names, size, strict=True))
        self.size["learning_rate"] = 0.08
        self.table = {c.name: rng.normal(size=len(c.values)) for c in self.space.space if isinstance(c, LISTS)}
        self.peak = {name: rng.uniform(0.2, 0.8) for name in names}
        self.shift = rng.uniform(-0.25, 0.25, 3)  # the best learning rate depends on the optimizer
        self.pairs = [(*rng.choice(names[:11], 2, replace=False), rng.normal(0, 0.015)) for _ in range(6)]

    def __call__(self, values: dict) -> float:
        total = 0.6
        effects = {}
        for choice in self.space.space:
            name = choice.name
            if name not in values:
                continue
            prob = choice.value_to_prob(values[name])
            if name in self.table:
                level = list(choice.values).index(values[name])
                effect = float(np.tanh(self.table[name][level]))
            else:
                peak = self.peak[name]
                if name == "learning_rate":
                    peak += self.shift[["adam", "sgd", "adamw"].index(values["optimizer"])]
                effect = 1 - 6 * (prob - peak) ** 2
            effects[name] = effect
            total += self.size[name] * effect
        total += sum(size * effects[a] * effects[b] for a, b, size in self.pairs)
        return float(np.clip(total, 0.14, 0.99))

    def best(self, count: int) -> float:
        """Return the best accuracy of random designs."""
        best, rng = 0.0, np.random.default_rng(1)
        for _ in range(count):
            values: dict = {}
            for choice in self.space.space:
                if all(values.get(c.name) in c.values for c in choice.conditions):
                    values[choice.name] = choice.prob_to_value(rng.random())
            best = max(best, self(values))
        return best


class Stock(SafeOracle, kt.oracles.BayesianOptimizationOracle):
    """Keras Tuner's own proposals."""


def search(kind: type, surface: Surface, seed: int, trials: int, first: int) -> tuple[float, list[float]]:
    """Return the noise-free score of the best design found, and the seconds of each model-based proposal."""
    rng = np.random.default_rng([seed, 99])
    with tempfile.TemporaryDirectory() as folder:
        objective = kt.Objective("val_accuracy", "max")
        space = surface.space.copy()
        oracle = kind(
            objective=objective, max_trials=None, hyperparameters=space, seed=seed + 1, num_initial_points=first
        )
        oracle.verbose = 0
        oracle._set_project_dir(folder, "run")
        oracle.save = lambda: None
        oracle._save_trial = lambda trial: None
        results, seconds = [], []
        for number in range(trials):
            began = time.perf_counter()
            trial = oracle.propose()
            if number >= first:
                seconds.append(time.perf_counter() - began)
            true = surface(trial.hyperparameters.values)
            seen = true + rng.normal(0, NOISE)
            results.append((seen, true))
            oracle.finish(trial, [{"epoch": 1, "val_accuracy": seen}])
    return max(results)[1], seconds


def time_guided(surface: Surface, trials: int, rungs: tuple[int, ...] = (1, 3, 9)) -> list[float]:
    """Return the seconds of each proposal of a search of ``trials`` trials with guided, resumed ones included."""
    rng, seconds = np.random.default_rng(99), []
    with tempfile.TemporaryDirectory() as folder:
        budgets = {"max_trials": None, "max_epochs": rungs[-1], "min_epochs": rungs[0], "factor": 3}
        oracle = make_oracle("guided", surface.space.copy(), Path(folder), seed=1, **budgets)
        oracle.verbose = 0
        oracle.save = lambda: None
        oracle._save_trial = lambda trial: None
        for _ in range(trials):
            began = time.perf_counter()
            trial = oracle.propose()
            seconds.append(time.perf_counter() - began)
            values = trial.hyperparameters.values
            epochs = range(values["tuner/initial_epoch"] + 1, values["tuner/epochs"] + 1)
            curve = [surface(values) * (1 - 0.5 / epoch) + rng.normal(0, NOISE) for epoch in epochs]
            oracle.finish(trial, [{"epoch": e, "val_accuracy": v} for e, v in zip(epochs, curve, strict=True)])
    return seconds


def report_guided(options: argparse.Namespace, timing: int) -> None:
    """Report the time of guided's proposals over a long search."""
    seconds = time_guided(Surface(0), timing)
    table = common.Table(
        f"Seconds per proposal of --tuner guided, {timing} trials of 15 choices",
        ["trials", "median", "worst"],
    )
    for stop in range(timing // 5, timing + 1, timing // 5):
        part = seconds[stop - timing // 5 : stop]
        table.rows.append([f"{stop - len(part) + 1} to {stop}", f"{np.median(part):.3f}", f"{max(part):.3f}"])
    common.report(options, [table], {"seconds": seconds})


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--seeds", type=int, help="number of response surfaces (default: 20)")
    parser.add_argument("--trials", type=int, help="trials per search (default: 40)")
    parser.add_argument("--first", type=int, default=15, help="random trials at the start")
    parser.add_argument("--samples", type=int, help="random designs that define the optimum (default: 20000)")
    parser.add_argument("--only", choices=["ours", "stock", "random", "guided"], default=None)
    parser.add_argument("--timing-trials", type=int, help="number of trials before timing our proposals (default: 200)")
    options = parser.parse_args()
    seeds, trials = options.seeds or (1 if options.quick else 20), options.trials or (18 if options.quick else 40)
    options.samples = options.samples or (500 if options.quick else 20_000)
    timing = options.timing_trials if options.timing_trials is not None else (20 if options.quick else 200)
    if options.only == "guided":
        report_guided(options, timing)
        return
    kinds = {"ours": BayesianOracle, "stock": Stock}
    if options.only:
        kinds = {options.only: kinds.get(options.only, BayesianOracle)}
    regrets, waits = compare(kinds | {"random": BayesianOracle}, seeds, trials, options)
    table = common.Table(
        f"Proposals: regret in points after {trials} trials, {seeds} seeds",
        ["", "regret, mean +- standard error", "seconds per proposal, median", "last", "worst"],
    )
    for name, values in regrets.items():
        wait = [f"{w:.3f}" for w in (np.median(waits[name]), waits[name][-1], max(waits[name]))] if waits[name] else []
        table.rows.append([name, mean_and_error(values), *(wait or ["-"] * 3)])
    if not options.only and seeds > 1:
        paired = mean_and_error(list(np.array(regrets["stock"]) - np.array(regrets["ours"])))
        table.notes.append(f"Ours is better than stock by {paired} points, paired by seed.")
    if timing and not options.only:
        _, seconds = search(BayesianOracle, Surface(0), 0, timing, options.first)
        median, worst = np.median(seconds[-20:]), max(seconds[-20:])
        table.notes.append(f"Ours at {timing} trials: median {median:.3f} s per proposal, worst {worst:.3f} s.")
    common.report(options, [table], {"regrets": regrets, "waits": waits})


def compare(
    kinds: dict[str, type], seeds: int, trials: int, options: argparse.Namespace
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return each method's regrets per seed and the seconds of its proposals."""
    regrets: dict[str, list[float]] = {name: [] for name in kinds}
    waits: dict[str, list[float]] = {name: [] for name in kinds}
    for seed in range(seeds):
        surface = Surface(seed)
        best = surface.best(options.samples)
        for name, kind in kinds.items():
            score, seconds = search(kind, surface, seed, trials, trials if name == "random" else options.first)
            regrets[name].append(best - score)
            waits[name] += seconds
        common.say(f"seed {seed}: regret " + ", ".join(f"{name} {100 * r[-1]:.2f}" for name, r in regrets.items()))
    return regrets, waits


def mean_and_error(shares: list[float]) -> str:
    """Return the mean in points, with its standard error if there are several values."""
    points = 100 * np.array(shares)
    error = f" +- {points.std(ddof=1) / np.sqrt(len(points)):.2f}" if len(points) > 1 else ""
    return f"{points.mean():.2f}{error}"


if __name__ == "__main__":
    main()
