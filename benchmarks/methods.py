"""Soft labels from FER+'s votes, and growing augmentation, at an equal number of steps on FER2013.

    python benchmarks/methods.py --data fer2013.csv --votes fer2013new.csv    # 40 minutes on a core; resumes if killed

Images, network and recipe are those of the arm "plain" of ``benchmarks/equal_time.py``. In each of the three epochs
every image occurs three times, so that a soft label can be given as three labels drawn from it:

- FER2013's labels: the same label three times;
- FER+'s votes: each label drawn from the votes of FER+'s annotators for the seven classes;
- half of FER+'s votes: one or two of the three labels are FER2013's, at random, the others drawn from the votes;
- growing augmentation: no augmentation in the first epoch, half of it in the second, all of it in the third.

The accuracy is that on other images with FER2013's labels.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
from pathlib import Path
from typing import Any

import common
import equal_time
import numpy as np
import pandas as pd

from fer_search import backend

COPIES, EPOCHS = 3, 3
BASE = "FER2013's labels"
ARMS = {BASE: 0.0, "half of FER+'s votes": 0.5, "FER+'s votes": 1.0, "growing augmentation": 0.0}  # -> share of votes


def draw_labels(labels: np.ndarray, votes: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return the labels of all copies, the copies of an image in a row.

    Args:
        labels: FER2013's, uint8 (n,).
        votes: FER+'s for the seven classes, int (n, 7); an image without any keeps its label.
        share: Probability that a copy's label is drawn from the votes.
        rng: Source of randomness.
    """
    repeated, repeated_votes = labels.repeat(COPIES), votes.repeat(COPIES, axis=0).cumsum(axis=1)
    drawn = (repeated_votes <= rng.random(len(repeated))[:, None] * repeated_votes[:, -1:]).sum(axis=1)
    by_vote = (rng.random(len(repeated)) < share) & (repeated_votes[:, -1] > 0)
    return np.where(by_vote, drawn, repeated).astype(np.uint8)


def make_data(options: Any) -> tuple[Any, np.ndarray, str]:
    """Return the images, the votes for those that are trained on, and the data set's name."""
    from fer_search.data.ferplus import COLUMNS
    from fer_search.data.load import load_dataset
    from fer_search.data.spec import FER2013_CLASSES

    data, name = equal_time.make_data(options)
    table = pd.read_csv(options.votes)
    dataset = load_dataset(options.data)
    if len(table) != len(dataset.labels):
        raise SystemExit(f"{options.votes} has {len(table):,} rows, {name} {len(dataset.labels):,} images")
    votes = table[[COLUMNS[c] for c in FER2013_CLASSES]].to_numpy(np.int64)
    rows = np.random.default_rng(1).permutation(dataset.rows("train"))  # as in equal_time
    trained = rows[len(data.val_labels) :][: len(data.labels)]
    assert np.array_equal(dataset.images[trained], data.images)
    return data, votes[trained], name


def train_arm(arm: str, seed: int, data: Any, votes: np.ndarray, options: Any) -> dict[str, Any]:
    """Train an arm, or read its earlier result; return accuracy, loss and CPU seconds."""
    from fer_search.training.trial import Trial, TrialData, train

    folder = options.folder / f"{list(ARMS).index(arm)}_{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "result.json"
    if not done.exists():
        began, design, labels = time.process_time(), equal_time.make_design("plain"), data.labels
        drawn = draw_labels(labels, votes, ARMS[arm], np.random.default_rng(seed))
        shown = TrialData(data.images.repeat(COPIES, axis=0), drawn, data.val_images, data.val_labels)
        rows: list[Any] = []
        for epoch in range(1, EPOCHS + 1):
            strength = (epoch - 1) / (EPOCHS - 1) if arm == "growing augmentation" else 1.0
            parts: dict[str, Any] = {
                "history": rows,
                "horizon": EPOCHS,
                "parent": folder / str(epoch - 1) if rows else None,
            }
            (folder / str(epoch)).mkdir(exist_ok=True)
            trial = Trial(_augmented(design, strength), epoch, folder / str(epoch), seed=seed, number=0, **parts)
            rows = [*rows, *train(trial, shown)]
        result = {name: rows[-1][name] for name in ("val_accuracy", "val_loss", "accuracy")}
        done.write_text(json.dumps(result | {"cpu": time.process_time() - began}) + "\n")
    return dict(json.loads(done.read_text()))


def _augmented(design: Any, strength: float) -> Any:
    """Return a design with a share of its augmentation; flips are kept, unless nothing is."""
    full = design.augmentation
    part = {"flip": full.flip and strength > 0, "rotation": full.rotation * strength, "zoom": full.zoom * strength}
    return dataclasses.replace(design, augmentation=dataclasses.replace(full, **part))


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--data", default="auto", help="FER2013 as csv or npz (default: auto)")
    parser.add_argument("--votes", type=Path, required=True, help="FER+'s fer2013new.csv")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS), help="(default: all)")
    parser.add_argument("--seeds", type=int, help="training runs per arm (default: 3)")
    parser.add_argument("--folder", type=Path, help="folder for the training runs (default: results/bench_methods)")
    options = parser.parse_args()
    options.seeds = options.seeds or (1 if options.quick else 3)
    kept = "bench_methods_quick" if options.quick else "bench_methods"
    options.folder = options.folder or common.ROOT / "results" / kept
    backend.start()
    data, votes, name = make_data(options)
    arms = list(dict.fromkeys([BASE, *options.arms]))
    results: dict[str, list[dict[str, Any]]] = {arm: [] for arm in arms}
    for seed in range(options.seeds):
        for arm in arms:
            results[arm].append(train_arm(arm, seed, data, votes, options))
            common.say(f"{arm}, seed {seed}: {results[arm][-1]['val_accuracy']:.4f}")
    table = common.Table(
        f"Soft labels and growing augmentation, {name}, {EPOCHS * COPIES} epochs' steps",
        ["", "accuracy, %, each seed", "loss, each seed", "difference of the mean accuracy, points"],
    )
    for arm, runs in results.items():
        accuracies = [100 * run["val_accuracy"] for run in runs]
        gains = [a - 100 * run["val_accuracy"] for a, run in zip(accuracies, results[BASE], strict=True)]
        losses = ", ".join(f"{run['val_loss']:.4f}" for run in runs)
        difference = "" if arm == BASE else f"{statistics.mean(gains):+.2f}"
        table.rows.append([arm, ", ".join(f"{a:.2f}" for a in accuracies), losses, difference])
    common.report(options, [table], results)


if __name__ == "__main__":
    main()
