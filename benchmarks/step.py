"""Training step throughput, and the fraction of an epoch spent outside the steps (goal: under 5%).

    python benchmarks/step.py                     # two minutes on two CPU cores

"Step" is the engine running an epoch in one call without augmentation, with images, batches and learning rates already
on the device. "Epoch" is ``EpochLoop.run_epoch`` with the report's augmentation: random draws on the host,
augmentation, checks of the clock and the stop flag, and validation on seven images. Both alternate in one process; the
difference is the overhead. Re-estimating BN statistics before a validation is a forward pass of about 1,024 images,
for any epoch length.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import common
import figure_1
import numpy as np
from epoch import PRECISIONS, TITLES

FULL = 28709  # FER2013's training images
STATISTICS = "BN statistics, % of an epoch of 28,709 images"


def step_round(engine: Any, faces: tuple[Any, Any], batches: dict[str, np.ndarray]) -> Callable[[], float]:
    """Return a function that runs all steps of an epoch and returns the seconds of the steps alone."""

    def compute() -> float:
        engine.begin_epoch(faces, batches, np.random.default_rng(0))
        seconds = common.timed(lambda: engine.train(0, len(batches["rows"])))
        engine.end_epoch()
        return seconds

    return compute


def make_step(loop: Any, count: int, batch: int) -> Callable[[], float]:
    """Return a function that runs the steps of a loop's engine without augmentation."""
    from fer_search.training.batches import draw_batches

    rows, weights = draw_batches(np.random.default_rng(0), count, batch)
    rates = np.full(len(rows), 1e-3, np.float32)
    batches = {"rows": rows, "weights": weights, "loss_weights": weights, "learning_rates": rates}
    return step_round(loop.engine, loop.train_data, batches)


def prepare(spec: dict[str, Any]) -> Callable[[], dict[str, float]]:
    """Return a function that times the steps alone, an epoch, its random draws and measuring BN statistics."""
    from fer_search import backend

    backend.start()
    from fer_search.augment import draw_epoch
    from fer_search.training.batches import draw_batches

    faces = figure_1.load_faces(spec["data"], spec["images"])
    design = figure_1.make_design(spec["width"], spec["batch"], spec["precision"])
    loop = figure_1.make_loop(design, faces)
    step, epochs = make_step(loop, spec["images"], spec["batch"]), itertools.count(1)

    def draw() -> None:
        rng = np.random.default_rng(0)
        rows, _ = draw_batches(rng, spec["images"], spec["batch"])
        draw_epoch(rng, *rows.shape, design.augmentation)

    arms = {"seconds": step, "epoch": lambda: common.timed(lambda: loop.run_epoch(next(epochs), []))}

    def compute() -> dict[str, float]:
        seconds = {name: arm() for name, arm in arms.items()}
        first = next(iter(arms))
        arms[first] = arms.pop(first)  # alternate the order: the first arm has cold caches
        return seconds | {"drawing": common.timed(draw), "measuring": common.timed(loop.measure)}

    compute()
    return compute


def main() -> None:
    parser = common.parser(__doc__)
    figure_1.add_arguments(parser)
    parser.add_argument("--batch", type=int, nargs="+", help="(default: 256)")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    options = parser.parse_args()
    if options.serve:
        spec = json.loads(options.serve)
        common.serve(lambda: prepare(spec))
        return
    began = time.perf_counter()
    figure_1.settle(options, cpu_images=1024, rounds=4)
    options.batch = options.batch or ([32] if options.quick else [256])
    raw, skipped = {}, []
    table = common.Table(
        "Training step, and overhead of an epoch",
        ["", "step, images/s", "epoch, images/s", "overhead, %", "random draws, %", STATISTICS],
    )
    for width, batch in itertools.product(options.width, options.batch):
        base = {"width": width, "batch": batch, "images": options.images, "data": options.data}
        specs = {
            f"{TITLES[b]}, {p}, width {width:g}, batch {batch}": figure_1.fewer(base | {"backend": b, "precision": p})
            for b, p in itertools.product(common.device().backends, options.precision)
            if figure_1.worth_it(b, p)
        }
        workers = common.start(specs, skipped)
        answers = figure_1.ask_in_turn(workers, options.rounds)
        for name, rounds in answers.items():
            table.rows.append([name, *row_of(rounds, specs[name]["images"])])
            workers[name].close()
        raw |= answers
    table.notes.append("Values are medians over the rounds, with minimum and maximum.")
    common.say(f"{time.perf_counter() - began:.0f} s in total")
    common.report(options, [table], raw, skipped)


def row_of(rounds: list[dict[str, float]], images: int) -> list[str]:
    """Return a row's cells: images per second, and percentages of the epoch within rounds."""
    names = ("seconds", "epoch", "drawing", "measuring")
    steps, epochs, draws, measured = ([answer[name] for answer in rounds] for name in names)
    rest = [100 * (1 - step / epoch) for step, epoch in zip(steps, epochs, strict=True)]
    drawing = [100 * draw / epoch for draw, epoch in zip(draws, epochs, strict=True)]
    # a full epoch in units of this one; with fewer images than needed, measuring is cheaper
    full_epochs = FULL / images
    fewer = min(1.0, images / 1024)
    statistics = [
        100 * measuring / fewer / (full_epochs * epoch) for measuring, epoch in zip(measured, epochs, strict=True)
    ]
    speeds = [[images / s for s in seconds] for seconds in (steps, epochs)]
    return [str(common.spread(values)) for values in (*speeds, rest, drawing, statistics)]


if __name__ == "__main__":
    main()
