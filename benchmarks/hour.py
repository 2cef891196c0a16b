"""Validation accuracy against training time: the default design of search_spaces/cpu.py and two others.

    python benchmarks/hour.py                                   # 5, 15 and 60 minutes, 3 seeds: ten hours in total
    python benchmarks/hour.py --minutes 5 --seeds 1             # a quarter of an hour

Run it on an otherwise idle machine. If killed, it resumes with the same command: every training run is a trial folder
under --folder, and its number of epochs is planned once, from the epoch time measured at the benchmark's first start. A
schedule of fixed length (one_cycle, cosine) needs a training run for every time budget; with any other schedule one run
for the longest budget is read off at the shorter ones.

The arms: the default of cpu.py; the course report's Figure 1 at an eighth of its width with the report's optimisation,
as used for earlier results in this repository; and the default of tiny.py, a typical beginner's convolutional network
with Adam at 1e-3. Seeds differ in initial weights, batches and augmentation but not in images; a tenth of the training
images is held out for validation, and no test image is used.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any, NamedTuple

import common

from fer_search import backend

ARMS = {
    "cpu.py, default": ("cpu.py", 1.0),
    "report.py, figure_1 at width 0.125": ("report.py", 0.125),
    "tiny.py, default": ("tiny.py", 1.0),
}
PLAN = "plan.json"
TIMED_IMAGES = 2048  # number of images for measuring the epoch time
MARGIN = 0.97  # fraction of a time budget that is planned, as epoch times vary a little


class Planned(NamedTuple):
    """A training run: its number of epochs and its folder's name."""

    epochs: int
    folder: str


def make_design(arm: str) -> Any:
    """Return the default design of the arm's space, its first baseline."""
    from fer_search.space import load_space

    file, width = ARMS[arm]
    space = load_space(common.ROOT / "search_spaces" / file, width)
    return space.design(space.baseline(next(iter(space.baselines))))


def make_data(source: str, limit: int | None) -> tuple[Any, str]:
    """Return the training and validation images of a search with default options, and the data set's name."""
    from fer_search.data.load import load_dataset
    from fer_search.data.split import make_split
    from fer_search.search.state import trial_data

    dataset = load_dataset(source)
    split = make_split(dataset, protocol="holdout", validation=0.1, seed=0, limit_train=limit, drop_duplicates=False)
    return trial_data(dataset, split), dataset.name


def epoch_seconds(design: Any, data: Any, folder: Path) -> float:
    """Estimate the seconds of an epoch on all of ``data`` from four short epochs.

    The first epoch is excluded because it compiles, and so is the third if the first half trains at low resolution.
    """
    from fer_search.search.scheduling.speed import equivalent_images
    from fer_search.training.trial import Trial, TrialData, train

    count = min(TIMED_IMAGES, len(data.labels))
    short = TrialData(data.images[:count], data.labels[:count], data.val_images[:8], data.val_labels[:8])
    folder.mkdir(parents=True, exist_ok=True)
    rows = train(Trial(design, epochs=4, folder=folder, seed=0, number=0), short)
    seconds = (rows[1]["seconds"] + rows[3]["seconds"]) / 2
    return seconds * equivalent_images(len(data.labels), len(data.val_labels)) / equivalent_images(count, 8)


def ends(design: Any) -> bool:
    """Return whether a design's learning rate depends on the total number of epochs."""
    return design.optimisation.schedule in ("one_cycle", "cosine") or design.optimisation.low_resolution > 0


def make_plan(options: Any, designs: dict[str, Any], data: Any, name: str) -> dict[str, Any]:
    """Return every arm's seconds per epoch, measured at the benchmark's first start.

    Raises:
        SystemExit: The folder contains a benchmark on other data.
    """
    file = options.folder / PLAN
    plan = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"data": name, "images": len(data.labels)}
    if (plan["data"], plan["images"]) != (name, len(data.labels)):
        raise SystemExit(
            f"{options.folder} was measured on {plan['images']} images of {plan['data']}; give another --folder"
        )
    for number, (arm, design) in enumerate(designs.items()):
        key = json.dumps(design.to_dict(), sort_keys=True)
        if plan.get(arm, {}).get("design") != key:
            common.say(f"timing an epoch: {arm}")
            seconds = epoch_seconds(design, data, options.folder / f"timing_{number}_{time.time_ns()}")
            plan[arm] = {"design": key, "seconds": seconds, "number": number}
            options.folder.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
    return plan


def trainings(design: Any, seconds: float, minutes: list[float], number: int, seed: int) -> dict[float, Planned]:
    """Return the training run that gives the accuracy at each time budget."""
    epochs = {budget: max(1, math.floor(MARGIN * 60 * budget / seconds)) for budget in minutes}
    if not ends(design):
        longest = max(epochs.values())
        return {budget: Planned(longest, f"arm{number}_seed{seed}_{longest}epochs") for budget in minutes}
    return {budget: Planned(count, f"arm{number}_seed{seed}_{count}epochs") for budget, count in epochs.items()}


def train_once(design: Any, planned: Planned, seed: int, data: Any, folder: Path) -> list[dict[str, Any]]:
    """Start or resume a training run; return its rows of epochs.csv."""
    from fer_search.training.trial import Trial, train

    folder.mkdir(parents=True, exist_ok=True)
    trial = Trial(design, epochs=planned.epochs, folder=folder, seed=seed, number=seed)
    rows = train(trial, data)
    for file in folder.glob("*.h5"):
        if "best" in file.name:  # the last epoch's checkpoint is kept: it marks the run as complete
            file.unlink()
    return rows


def at_budget(rows: list[dict[str, Any]], design: Any, budget: float) -> tuple[float, float, int]:
    """Return accuracy, minutes and epochs of a training run at a time budget."""
    elapsed, reached = 0.0, rows[0]
    for row in rows:
        if not ends(design) and row is not rows[0] and elapsed + row["seconds"] > 60 * budget:
            break
        elapsed, reached = elapsed + row["seconds"], row
    return float(reached["val_accuracy"]), elapsed / 60, int(reached["epoch"])


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--data", default="auto", help="FER2013 in any form, or toy (default: auto)")
    parser.add_argument("--minutes", type=float, nargs="+", help="time budgets of a training run (default: 5 15 60)")
    parser.add_argument("--seeds", type=int, help="training runs per arm and budget (default: 3)")
    parser.add_argument("--images", type=int, help="training images (default: all)")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS), help="(default: all)")
    parser.add_argument("--folder", type=Path, help="folder for the training runs (default: results/bench_hour)")
    options = parser.parse_args()
    quick = options.quick
    options.minutes = sorted(options.minutes or ([0.02, 0.05] if quick else [5.0, 15.0, 60.0]))
    options.seeds = options.seeds or (1 if quick else 3)
    options.images = options.images or (140 if quick else None)
    options.folder = options.folder or common.ROOT / "results" / ("bench_hour_quick" if quick else "bench_hour")
    backend.start()
    data, name = make_data(options.data, options.images)
    designs = {arm: make_design(arm) for arm in options.arms}
    plan = make_plan(options, designs, data, name)
    results: dict[str, dict[str, list[Any]]] = {arm: {} for arm in designs}
    for seed in range(options.seeds):
        for arm, design in designs.items():
            jobs = trainings(design, plan[arm]["seconds"], options.minutes, plan[arm]["number"], seed)
            rows = {}
            for job in dict.fromkeys(jobs.values()):
                common.say(f"{arm}, seed {seed}: {job.epochs} epochs of {plan[arm]['seconds']:.1f} s")
                rows[job] = train_once(design, job, seed, data, options.folder / job.folder)
            for budget, job in jobs.items():
                results[arm].setdefault(f"{budget:g}", []).append(at_budget(rows[job], design, budget))
    common.report(options, [table_of(results, options.minutes, name, data)], {"plan": plan, "found": results})


def table_of(results: dict[str, dict[str, list[Any]]], minutes: list[float], name: str, data: Any) -> common.Table:
    """Return a table of accuracies with a row per arm and a column per time budget."""
    seeds = max(len(runs) for arm in results.values() for runs in arm.values())
    table = common.Table(
        f"Validation accuracy (%) against minutes of training, {seeds} seeds",
        ["", *(f"{budget:g} min" for budget in minutes), "epochs"],
    )
    for arm, budgets in results.items():
        cells = [common.spread([100 * accuracy for accuracy, _, _ in budgets[f"{b:g}"]]) for b in minutes]
        epochs = ", ".join(f"{budgets[f'{b:g}'][0][2]}" for b in minutes)
        table.rows.append([arm, *(f"{c.median:.1f} ({c.low:.1f} to {c.high:.1f})" for c in cells), epochs])
    table.notes.append(
        f"{name}: {len(data.labels):,} training and {len(data.val_labels):,} validation images. Median over seeds, "
        "with minimum and maximum; minutes are training time including validation."
    )
    return table


if __name__ == "__main__":
    main()
