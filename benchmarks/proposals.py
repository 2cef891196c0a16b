"""Bayesian proposals, ours and stock Keras Tuner's, side by side: how good, and how long they keep one waiting.

    python benchmarks/proposals.py                    # 20 seeds, 40 trials each; half an hour, nearly all of it stock's
    python benchmarks/proposals.py --seeds 3 --trials 30

The response surface is made up after searches of this kind: 15 choices (categories, numbers, a range on a log scale,
two conditional ones), main effects of up to some points of accuracy, most of them small, some interactions, and the
noise of a validation set. "Regret" is how far the best design found lies below the best of 20,000 random ones, both
without noise. Both proposers start from the same number of random designs.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras_tuner as kt
import numpy as np

from fer_search import backend

backend.start()

from fer_search.search.oracles import BayesianOracle, SafeOracle  # noqa: E402

LISTS = (kt.engine.hyperparameters.Choice, kt.engine.hyperparameters.Boolean)
NOISE = 0.006  # standard error of an accuracy of 0.6 on 7,000 images


def make_space() -> kt.HyperParameters:
    """Return 15 choices of the kinds that spaces here have."""
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
    """A made-up accuracy of every design."""

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
        at = {}
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
            at[name] = effect
            total += self.size[name] * effect
        total += sum(size * at[a] * at[b] for a, b, size in self.pairs)
        return float(np.clip(total, 0.14, 0.99))

    def best(self, count: int) -> float:
        """Return the best of random designs."""
        found, rng = 0.0, np.random.default_rng(1)
        for _ in range(count):
            values: dict = {}
            for choice in self.space.space:
                if all(values.get(c.name) in c.values for c in choice.conditions):
                    values[choice.name] = choice.prob_to_value(rng.random())
            found = max(found, self(values))
        return found


class Stock(SafeOracle, kt.oracles.BayesianOptimizationOracle):
    """Keras Tuner's own proposals."""


def search(kind: type, surface: Surface, seed: int, trials: int, first: int) -> tuple[float, list[float]]:
    """Return the noiseless score of the best design found, and the seconds of each proposal after the first ones."""
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
        found, seconds = [], []
        for number in range(trials):
            began = time.perf_counter()
            trial = oracle.propose()
            if number >= first:
                seconds.append(time.perf_counter() - began)
            true = surface(trial.hyperparameters.values)
            seen = true + rng.normal(0, NOISE)
            found.append((seen, true))
            oracle.finish(trial, [{"epoch": 1, "val_accuracy": seen}])
    return max(found)[1], seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--first", type=int, default=15, help="random trials at the start")
    parser.add_argument("--samples", type=int, default=20_000, help="random designs that the best of is taken of")
    parser.add_argument("--only", choices=["ours", "stock", "random"], default=None)
    parser.add_argument("--timing-trials", type=int, default=200)
    args = parser.parse_args()
    kinds = {"ours": BayesianOracle, "stock": Stock}
    if args.only:
        kinds = {args.only: kinds.get(args.only, BayesianOracle)}
    regrets: dict[str, list[float]] = {name: [] for name in (*kinds, "random")}
    waits: dict[str, list[float]] = {name: [] for name in (*kinds, "random")}
    for seed in range(args.seeds):
        surface = Surface(seed)
        best = surface.best(args.samples)
        for name, kind in (kinds | {"random": BayesianOracle}).items():
            first = args.trials if name == "random" else args.first
            score, seconds = search(kind, surface, seed, args.trials, first)
            regrets[name].append(best - score)
            waits[name] += seconds
        print(f"seed {seed}: " + ", ".join(f"{name} {100 * r[-1]:.2f}" for name, r in regrets.items()), flush=True)
    print(f"{'':8} {'regret, points':>20} {'seconds a proposal: median':>28} {'last':>6} {'worst':>6}")
    for name, values in regrets.items():
        mean, error = (
            100 * np.mean(values),
            100 * np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0,
        )
        wait = f"{np.median(waits[name]):28.3f} {waits[name][-1]:6.3f} {max(waits[name]):6.3f}" if waits[name] else ""
        print(f"{name:8} {mean:12.2f} +-{error:5.2f} {wait}")
    if not args.only and args.seeds > 1:
        paired = 100 * (np.array(regrets["stock"]) - np.array(regrets["ours"]))
        print(
            f"ours is better by {paired.mean():.2f} +- {paired.std(ddof=1) / np.sqrt(len(paired)):.2f} points, by seed"
        )
    if args.timing_trials and not args.only:
        _, seconds = search(BayesianOracle, Surface(0), 0, args.timing_trials, args.first)
        late = seconds[-20:]
        print(f"ours at {args.timing_trials} trials: median {np.median(late):.3f} s, worst {max(late):.3f} s")


if __name__ == "__main__":
    main()
