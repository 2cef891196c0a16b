"""Does annealing a stopped trial tell more about its final accuracy than training it on?

    python benchmarks/study/branches.py --data fer2013.csv --folder ~/branches --designs 40    # 25 minutes on a core

With a schedule that decays at the end, the accuracy at a rung says little about the accuracy at the end. A search may
extrapolate the curve, or branch off: decay the learning rate to zero within an epoch, measure, and go on from before.
For designs of study.csv (seed 0), each is trained to a rung as in the study, and then for one epoch with the end of a
one_cycle schedule. That accuracy is compared with the one that the study has after the same number of epochs, by the
rank correlation with the accuracy after nine epochs. If killed, the same command resumes.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from gather import EPOCHS, HERE, IMAGES, plan, read_table
from scipy.stats import spearmanr

from fer_search.search.run import load_data
from fer_search.search.settings import Settings
from fer_search.search.state import trial_data
from fer_search.space import load_space
from fer_search.training.trial import Trial, TrialData, train

RUNGS = (1, 3)  # epochs
RESAMPLES = 2000


def branch(design: Any, rung: int, folder: Path, number: int, data: TrialData) -> dict[str, Any]:
    """Train a design to a rung, then anneal it for an epoch; return the validation accuracies of all epochs."""
    result = folder / f"design_{number:04d}_rung_{rung}.json"
    if not result.exists():
        before, after = (folder / f"design_{number:04d}_rung_{rung}_{part}" for part in ("before", "after"))
        before.mkdir(exist_ok=True)
        after.mkdir(exist_ok=True)
        rows = train(Trial(design, rung, before, 0, number, horizon=EPOCHS), data)
        ended = dataclasses.replace(design, optimisation=dataclasses.replace(design.optimisation, schedule="one_cycle"))
        rows += train(Trial(ended, rung + 1, after, 0, number, parent=before, history=rows, horizon=rung + 1), data)
        result.write_text(json.dumps({"accuracy": [row["val_accuracy"] for row in rows]}) + "\n", encoding="utf-8")
        for checkpoint in (*before.glob("*.h5"), *after.glob("*.h5")):
            checkpoint.unlink()
    return dict(json.loads(result.read_text(encoding="utf-8")))


def correlation(early: np.ndarray, final: np.ndarray) -> str:
    """Return the rank correlation and its 95% bootstrap interval as text."""
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, len(final), len(final)) for _ in range(RESAMPLES)]
    low, high = np.quantile([spearmanr(early[rows], final[rows])[0] for rows in drawn], [0.025, 0.975])
    return f"{spearmanr(early, final)[0]:.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="auto", help="FER2013 in any format that fer-search reads")
    parser.add_argument("--folder", type=Path, default=Path("branches"), help="folder for the training runs")
    parser.add_argument("--table", type=Path, default=HERE / "study.csv", help="(default: study.csv of this folder)")
    parser.add_argument("--designs", type=int, default=40, help="number of designs (default: 40)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    space = load_space(HERE / "space.py")
    table = {int(row["design"]): row for row in read_table(options.table) if row["seed"] == "0" and not row["failed"]}
    designs = {n: space.design(hp.copy()) for n, _, seed, hp in plan(space, max(table) + 1) if seed == 0 and n in table}
    numbers = sorted(designs)[: options.designs]
    settings = Settings(space=HERE / "space.py", data=options.data, limit_train=IMAGES, max_epochs=EPOCHS, seed=0)
    data = trial_data(*load_data(settings))
    final = np.array([float(table[number][f"val_acc_{EPOCHS}"]) for number in numbers])
    for rung in RUNGS:
        branched = []
        for number in numbers:
            accuracies = branch(designs[number], rung, options.folder, number, data)["accuracy"]
            recorded = [float(table[number][f"val_acc_{epoch}"]) for epoch in range(1, rung + 1)]
            if not all(math.isclose(a, b, abs_tol=1e-4) for a, b in zip(accuracies[:rung], recorded, strict=True)):
                print(f"design {number}: the study's first epochs {recorded} are not repeated: {accuracies[:rung]}")
            branched.append(accuracies[-1])
            print(f"design {number}, rung {rung}: {accuracies[-1]:.4f}", flush=True)
        trained_on = np.array([float(table[number][f"val_acc_{rung + 1}"]) for number in numbers])
        print(f"{len(numbers)} designs, {rung + 1} epochs, rank correlation with the accuracy after {EPOCHS} epochs:")
        print(f"  trained on: {correlation(trained_on, final)}")
        print(f"  annealed in the last epoch: {correlation(np.array(branched), final)}")


if __name__ == "__main__":
    main()
