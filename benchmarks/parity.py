"""Does training in bfloat16 cost accuracy? The same design, seed by seed, in both precisions.

    python benchmarks/parity.py                                             # about ten minutes on two CPU cores
    python benchmarks/parity.py --images 25000 --epochs 15 --seeds 8 --data fer2013.csv    # precise: hours on a CPU

A seed determines initial weights, image order and augmentation, so the two training runs of a pair differ only in
rounding; that is enough for them to diverge as much as two seeds do. Compared are validation accuracy and loss after
the last epoch (no epoch selection): the mean of the paired differences with its 95% interval (Student's t). The
interval limits the conclusion: a loss of accuracy beyond its lower end is excluded.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from pathlib import Path

import common
import figure_1
import numpy as np
from scipy import stats

from fer_search import backend

PRECISIONS = ("float32", "bfloat16")


def train_once(precision: str, seed: int, options: object, faces: figure_1.Faces) -> dict[str, float]:
    """Train the design in a precision; return the last epoch's row with the seconds of all epochs but the first."""
    from fer_search.training.trial import Trial, TrialData, train

    design = figure_1.make_design(options.width, options.batch, precision)
    schedule = dataclasses.replace(design.optimisation, schedule="one_cycle", learning_rate=2e-3)  # suits few epochs
    design = dataclasses.replace(design, optimisation=schedule)
    images, labels, _ = faces
    n = options.images
    data = TrialData(images[:n], labels[:n], images[n:], labels[n:])
    with tempfile.TemporaryDirectory() as folder:
        rows = train(Trial(design, options.epochs, Path(folder), seed=seed, number=0), data)
    return rows[-1] | {"seconds": sum(row["seconds"] for row in rows[1:])}


def paired(differences: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of paired differences and the ends of its 95% interval (Student's t).

    Args:
        differences: Paired differences, float (n,), at least 2.
    """
    mean, error = differences.mean(), stats.sem(differences)
    half = stats.t.ppf(0.975, len(differences) - 1) * error
    return float(mean), float(mean - half), float(mean + half)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--data", default="auto", help="FER2013 in any form, or toy (default: auto)")
    parser.add_argument("--width", type=float, default=0.125)
    parser.add_argument("--images", type=int, help="training images (default: 3000)")
    parser.add_argument("--validated", type=int, help="other training images for the comparison (default: 2000)")
    parser.add_argument("--epochs", type=int, help="(default: 4)")
    parser.add_argument("--seeds", type=int, help="pairs of training runs (default: 6)")
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    small = {"images": 128, "validated": 64, "epochs": 2, "seeds": 2}
    usual = {"images": 3000, "validated": 2000, "epochs": 4, "seeds": 6}
    for name, value in (small if options.quick else usual).items():
        setattr(options, name, getattr(options, name) or value)
    if options.seeds < 2:
        raise SystemExit("--seeds must be at least 2: one pair has no interval")
    began, name = time.perf_counter(), backend.start()
    faces = figure_1.load_faces(options.data, options.images + options.validated, again=False)
    rows_of: dict[str, list[dict[str, float]]] = {precision: [] for precision in PRECISIONS}
    for seed in range(options.seeds):
        for precision in PRECISIONS:
            rows_of[precision].append(train_once(precision, seed, options, faces))
        full, half = (rows_of[precision][-1]["val_accuracy"] for precision in PRECISIONS)
        common.say(f"seed {seed}: float32 {full:.4f}, bfloat16 {half:.4f}; {time.perf_counter() - began:.0f} s so far")
    columns = ["", "float32", "bfloat16", "difference, paired", "95% interval"]
    table = common.Table(f"bfloat16 against float32, {name}, {options.seeds} seeds", columns)
    table.notes.append(
        f"Width {options.width:g}, {options.epochs} epochs of batch {options.batch} on {options.images:,} images of "
        f"{faces.name}, compared on {options.validated:,} others."
    )
    for key, label, factor in (("val_accuracy", "accuracy, %", 100), ("val_loss", "loss", 1)):
        full, half = (factor * np.array([row[key] for row in rows_of[p]]) for p in PRECISIONS)
        mean, low, high = paired(half - full)
        cells = [f"{full.mean():.4g}", f"{half.mean():.4g}", f"{mean:+.3f}", f"{low:+.3f} to {high:+.3f}"]
        table.rows.append([label, *cells])
    seconds = [[row["seconds"] for row in rows_of[p]] for p in PRECISIONS]
    table.notes.append(f"bfloat16's epochs were {common.ratios(*seconds)} times faster.")
    common.report(options, [table], rows_of)


if __name__ == "__main__":
    main()
