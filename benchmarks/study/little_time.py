"""What a guided search of little time ends with: does it help to know how many epochs are left?

    python benchmarks/study/little_time.py    # 100 replays of each budget on study.csv, three minutes

Searches on the surrogate of study.csv (see replay.py), up to nine epochs per design, as with --time-budget: with and
without a look at the time left. "Full" are the replays that end with a proposal and a baseline that were trained for
nine epochs, so that the gain over the baselines is known; "noise-free" is the accuracy, without training noise, of the
design that ``confirm`` would take: the recommended one, else the best of those that were trained longest. Baselines:
"one", the default of the space, or four "poor" ones (see replay.py).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "numpy"  # Keras Tuner imports Keras; nothing is computed with it
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import contestants
import numpy as np
import replay

BUDGETS = (18, 20, 24, 28, 32, 38, 48, 62)  # epochs: two to seven full trainings
METHODS = [contestants.ours("guided", 2, in_time=in_time) for in_time in (False, True)]


def run(task: replay.Task, method: contestants.Method, scenario: str, seed: int, epochs: int) -> tuple[bool, float]:
    """Return whether a proposal and a baseline were trained fully, and the noise-free accuracy of the result."""
    known = task.good[:1] if scenario == "one" else task.baselines(scenario, seed)
    space = replay.with_default(task.choices, known[0])
    done = contestants.run(method, contestants.Replay(task.surrogate, space, known, seed, epochs, ()))
    longest = max(step.epochs for step in done.steps)
    full = [step.design for step in done.steps if step.epochs == task.surrogate.epochs]
    best = max((step for step in done.steps if step.epochs == longest), key=lambda step: step.best).design
    kinds = {any(design == values for values in known) for design in full}
    return len(kinds) == 2, task.surrogate.true(done.recommend() or best)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replays", type=int, default=100, help="replays per budget (default: 100)")
    parser.add_argument("--budgets", type=int, nargs="+", default=BUDGETS, help="epochs per search")
    options = parser.parse_args()
    task = replay.Task("study")
    print("| baselines | epochs | full, without | with | noise-free, without | with |\n|---|---|---|---|---|---|")
    for scenario in ("one", "poor"):
        for epochs in options.budgets:
            full, accuracy = [], []
            for method in METHODS:
                ends = [run(task, method, scenario, seed, epochs) for seed in range(options.replays)]
                full.append(f"{100 * np.mean([end[0] for end in ends]):.0f}%")
                accuracy.append(f"{100 * np.mean([end[1] for end in ends]):.1f}")
            print(f"| {scenario} | {epochs} | {' | '.join(full)} | {' | '.join(accuracy)} |", flush=True)


if __name__ == "__main__":
    main()
