"""How well an epoch at low resolution predicts the last one, validated at that resolution and on whole images.

    python benchmarks/low_resolution.py --data fer2013.csv              # half an hour on two cores; resumes if killed
    python benchmarks/low_resolution.py --designs 4 --quick

Random designs of search_spaces/cpu.py, the default first, are trained on 4,000 images for 12 epochs, the first 6 at 32
pixels. After each of these the network is validated twice, with batch normalisation measured for each. The rank
correlation is that with the accuracy after the last epoch.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import common
import numpy as np

from fer_search import backend

EPOCHS, IMAGES = 12, 4_000


def validate_twice(accuracies: dict[int, float]) -> None:
    """Let trainings validate epochs at low resolution on whole images too; the results go to ``accuracies``."""
    from fer_search.training import trial as trial_module
    from fer_search.training.loop import EpochLoop

    class Twice(EpochLoop):
        def _validate(self, epoch: int) -> dict[str, float]:
            result = super()._validate(epoch)
            if self.trial.resolution(epoch, validation=True):
                given, self.trial = self.trial, dataclasses.replace(self.trial, validate_low=False)
                self._measure_batchnorm(epoch)
                accuracies[epoch] = super()._validate(epoch)["accuracy"]
                self.trial = given
            return result

    trial_module.EpochLoop = Twice  # type: ignore[misc]


def make_data(options: Any) -> Any:
    """Return the images: a tenth of the training images for validation, IMAGES of the others for training."""
    from fer_search.data.load import load_dataset
    from fer_search.data.split import make_split
    from fer_search.search.state import trial_data

    dataset = load_dataset(options.data)
    limit = 64 if options.quick else IMAGES
    split = make_split(dataset, protocol="holdout", validation=0.1, seed=0, limit_train=limit, near=False)
    return trial_data(dataset, split), dataset.name


def train_design(number: int, design: Any, data: Any, options: Any, whole: dict[int, float]) -> dict[str, Any]:
    """Train a design, or read its earlier result: accuracies of each epoch, and those on whole images."""
    from fer_search.training.trial import Trial, train

    folder = options.folder / f"{number:03d}"
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "result.json"
    if not done.exists():
        whole.clear()
        rows = train(Trial(design, epochs=EPOCHS, folder=folder, seed=0, number=number), data)
        accuracies = [row["val_accuracy"] for row in rows]
        done.write_text(json.dumps({"accuracy": accuracies, "whole": list(whole.values())}) + "\n")
        for weights in folder.glob("*.h5"):
            weights.unlink()
    return dict(json.loads(done.read_text()))


def correlate(results: list[dict[str, Any]]) -> common.Table:
    """Return the rank correlations with the last epoch, and the mean accuracies."""
    from fer_search.report.statistics.promotions import rank_correlation

    table = common.Table(
        f"Rank correlation with the accuracy after {EPOCHS} epochs, {len(results)} designs (mean accuracy, %)",
        ["epoch", "validated at 32 px", "on whole images"],
    )
    last = np.array([result["accuracy"][-1] for result in results])
    for epoch in range(len(results[0]["whole"])):
        cells = [str(epoch + 1)]
        for kind in ("accuracy", "whole"):
            values = np.array([result[kind][epoch] for result in results])
            cells.append(f"{rank_correlation(values, last):.2f} ({100 * values.mean():.1f})")
        table.rows.append(cells)
    return table


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--data", default="auto", help="FER2013 in any form (default: auto)")
    parser.add_argument("--designs", type=int, default=24, help="number of designs (default: 24)")
    parser.add_argument("--folder", type=Path, help="folder for the training runs (default: results/bench_low)")
    parser.add_argument("--part", nargs=2, type=int, default=[0, 1], help="K N: train every Nth design from the Kth on")
    options = parser.parse_args()
    options.folder = options.folder or common.ROOT / "results" / ("bench_low_quick" if options.quick else "bench_low")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    backend.start()
    from fer_search.choices import fill_defaults
    from fer_search.space import load_space

    whole: dict[int, float] = {}
    validate_twice(whole)
    data, name = make_data(options)
    space, rng = load_space(common.ROOT / "search_spaces" / "cpu.py"), np.random.default_rng(1)
    points = [fill_defaults(space.choices()), *(space.sample(rng) for _ in range(options.designs - 1))]
    results = []
    for number in range(options.part[0], options.designs, options.part[1]):
        results.append(train_design(number, space.design(points[number]), data, options, whole))
        common.say(f"design {number}: {results[-1]['accuracy'][-1]:.4f}")
    common.report(options, [correlate(results)], {"data": name, "results": results})


if __name__ == "__main__":
    main()
