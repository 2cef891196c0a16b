"""Search methods compared on recorded learning curves, at equal numbers of epochs.

    python benchmarks/replay.py                            # 200 replays of all methods on micro_table.csv
    python benchmarks/replay.py --only guided hyperband --replays 40 --scenarios poor
    python benchmarks/replay.py --table study              # on the larger table, as far as it is complete
    python benchmarks/replay.py --table study --scrambled --only guided random    # where the choices tell nothing
    python benchmarks/replay.py --fixed-cost 3 --epochs 300 --only guided "guided, --min-steps 300"  # as on a GPU

Nothing is trained: a surrogate fitted to the table (``study/surrogate.py``) predicts the learning curve of every design
of the space. Our tuners, Keras Tuner's and Optuna's run their own code (``study/contestants.py``).

Scenarios: "good" uses the space's baselines including the default; "poor" four designs of about median accuracy, which
differ between replays; "none" no baselines. With poor baselines the first of them is the space's default, without any a
random design is, since "guided" tries the default. Epochs of baselines count. "Observed" is the best accuracy so far;
"noise-free" is the accuracy, without training noise, of the design that the method recommends (guided: by its own rule;
others: the best observed one). An epoch of micro_table.csv has 79 steps: "guided" decides after two epochs (--min-steps
150), "hyperband" after three (--min-steps 300), "as it was" after one, with its baselines fully trained first. A method
"beats" the baselines if its best proposal's observed accuracy exceeds that of the best fully trained baseline.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "numpy"  # Keras Tuner imports Keras; nothing is computed with it
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
STUDY = Path(__file__).resolve().parent / "study"
sys.path.insert(0, str(STUDY))

import common  # noqa: E402
import contestants  # noqa: E402
import keras_tuner as kt  # noqa: E402
import numpy as np  # noqa: E402
from contestants import Method, Replay, ours  # noqa: E402
from surrogate import ScrambledSurrogate, Surrogate  # noqa: E402

from fer_search.space import load_space  # noqa: E402

MARKS = (48, 62, 75, 111, 186, 300)
POOR = (0.45, 0.55)  # poor baselines lie between these quantiles of random designs' noise-free accuracy
TABLES = {"micro": ("micro_table.csv", "micro_space.py"), "study": ("study.csv", "space.py")}


def methods() -> dict[str, Method]:
    stock = {"max_trials": 10**6}
    return {
        "random": ours("random"),
        "hyperband, as it was": ours("hyperband", 1, baselines_in_rungs=False),
        "hyperband": ours("hyperband", 3),
        "bayesian": ours("bayesian"),
        "guided": ours("guided", 2),
        "guided, --min-steps 75": ours("guided", 1),
        "guided, --min-steps 300": ours("guided", 3),
        "stock Hyperband": contestants.keras_tuner_stock(kt.oracles.HyperbandOracle, max_epochs=9, factor=3),
        "stock random": contestants.keras_tuner_stock(kt.oracles.RandomSearchOracle, **stock),
        "1 epoch, top K": contestants.one_epoch_top_k,
        "Optuna TPE": contestants.optuna_tpe("none"),
        "Optuna TPE + median": contestants.optuna_tpe("median"),
        "Optuna TPE + Hyperband": contestants.optuna_tpe("hyperband"),
    }


class Task:
    """A table's space and surrogate with the baselines of each scenario."""

    def __init__(self, table: str, scrambled: bool = False) -> None:
        csv, space = TABLES[table]
        self.space = load_space(STUDY / space)
        self.choices = self.space.choices()
        self.surrogate = (ScrambledSurrogate if scrambled else Surrogate)(STUDY / csv, self.choices)
        rng = np.random.default_rng(0)
        self.drawn = [dict(self.space.sample(rng).values) for _ in range(2000)]
        self.true = self.surrogate.mean_curves(self.drawn)[:, -1]
        good = [dict(self.space.baseline(name).values) for name in self.space.baselines]
        self.good, self.best = good, max(self.true.max(), *(self.surrogate.true(values) for values in good))

    def baselines(self, scenario: str, seed: int) -> list[dict[str, Any]]:
        if scenario == "none":
            return []
        if scenario == "good":
            return self.good
        low, high = np.quantile(self.true, POOR)
        band = np.flatnonzero((self.true >= low) & (self.true <= high))
        return [self.drawn[k] for k in np.random.default_rng([seed, 2]).choice(band, 4, replace=False)]

    def choices_with_default(self, scenario: str, known: list[dict[str, Any]], seed: int) -> kt.HyperParameters:
        """Return the choices, in "poor" and "none" with another design as the space's default."""
        if scenario == "good":
            return self.choices
        drawn = self.drawn[np.random.default_rng([seed, 3]).integers(len(self.drawn))]
        return with_default(self.choices, known[0] if known else drawn)

    def replay(self, method: Method, scenario: str, seed: int, epochs: int, fixed_cost: int = 0) -> dict[str, Any]:
        """Return the figures of one replay."""
        marks = tuple(mark for mark in MARKS if mark <= epochs)
        known = self.baselines(scenario, seed)
        choices = self.choices_with_default(scenario, known, seed)
        done = contestants.run(method, Replay(self.surrogate, choices, known, seed, epochs, marks, fixed_cost))
        bar = max((float(done.curve(values).max()) for values in known), default=1.0)
        figures: dict[str, Any] = {"seconds": done.seconds}
        for mark in marks:
            steps = [step for step in done.steps if step.spent <= mark]
            proposals = [step.best for step in steps if not step.baseline]
            figures[f"observed {mark}"] = max(step.best for step in steps)
            figures[f"true {mark}"] = self.surrogate.true(done.recommended[mark])
            figures[f"beats {mark}"] = float(max(proposals, default=0.0) > bar)
        figures["within"] = self._within_a_point(done)
        figures["wasted"] = _wasted(done)
        return figures

    def _within_a_point(self, done: Replay) -> float:
        """Return the epochs until the best observed design is, noise-free, at most a point below the optimum."""
        best, epochs = -1.0, float("inf")
        for step in done.steps:
            if step.best > best:
                best = step.best
                epochs = step.spent if self.surrogate.true(step.design) >= self.best - 0.01 else float("inf")
        return epochs


def with_default(choices: kt.HyperParameters, values: dict[str, Any]) -> kt.HyperParameters:
    """Return the choices with a design's values as their defaults."""
    changed = choices.copy()
    for k, choice in enumerate(changed.space):
        if choice.name in values:
            changed.space[k] = type(choice).from_config(choice.get_config() | {"default": values[choice.name]})
    changed.values = dict(values)
    return changed


def _wasted(done: Replay) -> float:
    """Return the fraction of the proposals' epochs spent on designs no better than the majority class."""
    before, spent, last = 0, [], {}
    for step in done.steps:
        key = tuple(sorted((k, str(v)) for k, v in step.design.items()))
        if not step.baseline:
            spent.append((key, step.spent - before))
            last[key] = step.best
        before = step.spent
    total = sum(epochs for _, epochs in spent)
    return sum(epochs for key, epochs in spent if last[key] < contestants.WASTED) / max(total, 1)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--table", choices=list(TABLES), default="micro")
    parser.add_argument("--replays", type=int, help="replays per method and scenario (default: 200)")
    parser.add_argument("--scenarios", nargs="+", choices=["good", "poor", "none"], default=["good", "poor", "none"])
    parser.add_argument("--only", nargs="+", help="methods")
    parser.add_argument("--epochs", type=int, default=186, help="epochs per search")
    parser.add_argument(
        "--fixed-cost", type=int, default=0, help="epochs that a new design costs besides its own: compilation on a GPU"
    )
    parser.add_argument(
        "--scrambled", action="store_true", help="give designs the curves of random ones: nothing to learn"
    )
    options = parser.parse_args()
    count = options.replays or (3 if options.quick else 200)
    task, chosen = Task(options.table, options.scrambled), methods()
    names = options.only or list(chosen)
    raw: dict[str, Any] = {}
    tables = []
    for scenario in options.scenarios:
        table = common.Table(
            f"Table {options.table}, baselines: {scenario}; {count} replays", header(scenario, options)
        )
        for name in names:
            began = time.perf_counter()
            figures = [
                task.replay(chosen[name], scenario, seed, options.epochs, options.fixed_cost) for seed in range(count)
            ]
            table.rows.append(row(name, scenario, figures))
            raw[f"{scenario}/{name}"] = {
                key: [round(float(f[key]), 4) for f in figures] for key in figures[0] if key != "seconds"
            }
            common.say(f"{scenario}: {' | '.join(table.rows[-1])} ({time.perf_counter() - began:.0f} s)")
        table.notes.append("Standard errors: about 0.1 points at 200 replays. True accuracies are noise-free.")
        tables.append(table)
    best = f"The best of 2,000 random designs and the baselines has {100 * task.best:.1f} noise-free."
    tables[0].notes.append(best)
    common.report(options, tables, raw)


def header(scenario: str, options: argparse.Namespace) -> list[str]:
    marks = [f"{mark} epochs: observed / noise-free" for mark in MARKS if mark <= options.epochs]
    beats = [] if scenario == "none" else ["beats the baselines at 111"]
    return ["", *marks, *beats, "epochs to within 1 point", "wasted", "ms per proposal"]


def row(name: str, scenario: str, figures: list[dict[str, Any]]) -> list[str]:
    def mean(key: str) -> float:
        return 100 * float(np.mean([f[key] for f in figures]))

    marks = [mark for mark in MARKS if f"true {mark}" in figures[0]]
    cells = [f"{mean(f'observed {mark}'):.1f} / {mean(f'true {mark}'):.1f}" for mark in marks]
    if scenario != "none":
        cells.append(f"{mean('beats 111'):.0f}%" if 111 in marks else "-")
    within = float(np.median([f["within"] for f in figures]))
    seconds = [s for f in figures for s in f["seconds"]] or [0.0]
    return [
        name,
        *cells,
        "never" if within == float("inf") else f"{within:.0f}",
        f"{mean('wasted'):.0f}%",
        f"{1000 * float(np.median(seconds)):.0f}",
    ]


if __name__ == "__main__":
    main()
