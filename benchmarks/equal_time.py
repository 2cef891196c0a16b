"""Accuracy of small networks and training methods at equal CPU time, on FER2013.

    python benchmarks/equal_time.py --data fer2013.csv                 # an hour on two cores; resumes if killed
    python benchmarks/equal_time.py --arms "plain" "plain, low resolution" --seeds 1

Of the training split, 18,709 images are trained on and 10,000 others are predicted after the last epoch; no test image
is used. Each arm trains for the number of epochs that takes about 190 CPU seconds on the machine named in
docs/benchmarks.md, according to the ratios of ``benchmarks/families.py``, with a one_cycle schedule of that length. All
else is equal: Adam at 5e-3, batches of 64, flips, rotation of 10 degrees, zoom of 0.1, dropout of 0.2 before the
classifier. CPU seconds are printed with each accuracy: on a busy machine they vary less than wall time.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import common
import numpy as np

from fer_search import backend

TRAINED, PREDICTED = 18_709, 10_000  # images
EPOCHS = {  # of about equal duration
    "residual": 6,
    "residual, pooled stem": 8,
    "residual, pooled stem, a stage more": 6,
    "plain": 9,
    "residual, low resolution": 8,
    "residual, pooled stem, low resolution": 10,
    "plain, low resolution": 11,
}


def make_design(arm: str) -> Any:
    """Return the design of an arm."""
    from fer_search.design import Augmentation, Design, Head, Optimisation, Plain, Residual

    pooled = {"stem": 32, "stem_downsample": "max_pool", "shortcut": "identity"}
    networks = {
        "residual": Residual(stages=((16,), (32,), (64,), (128,)), shortcut="identity"),
        "residual, pooled stem": Residual(stages=((32,), (64,), (128,)), **pooled),
        "residual, pooled stem, a stage more": Residual(stages=((32,), (64,), (128,), (256,)), **pooled),
        "plain": Plain(stages=((16,), (32, 32), (64, 64), (128, 128))),
    }
    network = arm.removesuffix(", low resolution")
    return Design(
        network=networks[network],
        head=Head(dropout=0.2),
        augmentation=Augmentation(flip=True, rotation=10, zoom=0.1),
        optimisation=Optimisation(
            learning_rate=5e-3, schedule="one_cycle", batch_size=64, low_resolution=32 if arm != network else 0
        ),
    )


def make_data(options: Any) -> tuple[Any, str]:
    """Return the training and prediction images, and the data set's name."""
    from fer_search.data.load import load_dataset
    from fer_search.training.trial import TrialData

    dataset = load_dataset(options.data)
    rows = np.random.default_rng(1).permutation(dataset.rows("train"))
    trained, predicted = (48, 16) if options.quick else (TRAINED, PREDICTED)
    if len(rows) < trained + predicted:
        raise SystemExit(f"{dataset.name} has {len(rows):,} training images; this needs {trained + predicted:,}")
    test, train = rows[:predicted], rows[predicted : predicted + trained]
    images, labels = dataset.images, dataset.labels
    return TrialData(images[train], labels[train], images[test], labels[test]), dataset.name


def train_arm(arm: str, seed: int, data: Any, options: Any) -> dict[str, Any]:
    """Train an arm, or read its earlier result; return accuracy, loss and CPU seconds.

    An interrupted training run resumes after its last epoch; its CPU seconds are those of its last start.
    """
    from fer_search.training.trial import Trial, train

    folder = options.folder / f"{arm.replace(', ', '_').replace(' ', '_')}_{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "result.json"
    if not done.exists():
        began = time.process_time()
        epochs = 1 if options.quick else EPOCHS[arm]
        rows = train(Trial(make_design(arm), epochs=epochs, folder=folder, seed=seed, number=0), data)
        result = {name: rows[-1][name] for name in ("val_accuracy", "val_loss", "accuracy")}
        done.write_text(json.dumps(result | {"cpu": time.process_time() - began, "epochs": epochs}) + "\n")
    return dict(json.loads(done.read_text()))


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--data", default="auto", help="FER2013 in any form (default: auto)")
    parser.add_argument("--arms", nargs="+", choices=list(EPOCHS), default=list(EPOCHS), help="(default: all)")
    parser.add_argument("--seeds", type=int, help="training runs per arm (default: 2)")
    parser.add_argument("--folder", type=Path, help="folder for the training runs (default: results/bench_equal_time)")
    options = parser.parse_args()
    options.seeds = options.seeds or (1 if options.quick else 2)
    kept = "bench_equal_time_quick" if options.quick else "bench_equal_time"
    options.folder = options.folder or common.ROOT / "results" / kept
    backend.start()
    data, name = make_data(options)
    table = common.Table(
        f"Accuracy at equal CPU time, {name}",
        ["", "epochs", "accuracy, %, each seed", "loss, each seed", "CPU seconds"],
    )
    results_of: dict[str, list[dict[str, Any]]] = {arm: [] for arm in options.arms}
    for seed in range(options.seeds):
        for arm in options.arms:
            results_of[arm].append(train_arm(arm, seed, data, options))
            common.say(f"{arm}, seed {seed}: {results_of[arm][-1]['val_accuracy']:.4f}")
    for arm, results in results_of.items():
        accuracies = ", ".join(f"{100 * result['val_accuracy']:.2f}" for result in results)
        losses = ", ".join(f"{result['val_loss']:.4f}" for result in results)
        seconds = ", ".join(f"{result['cpu']:.0f}" for result in results)
        table.rows.append([arm, str(results[0]["epochs"]), accuracies, losses, seconds])
    common.report(options, [table], results_of)


if __name__ == "__main__":
    main()
