"""Records the study: learning curves of many designs of ``space.py`` on real FER2013.

    python benchmarks/study/gather.py --data fer2013.csv --folder ~/study            # resumes where it stopped
    TF_NUM_INTRAOP_THREADS=1 nice -n 19 python benchmarks/study/gather.py ...        # in the background, for days
    python benchmarks/study/gather.py --folder ~/study --table-only                  # copies the table into this folder
    python benchmarks/study/gather.py --folder ~/study ~/gpu_study --table-only      # joins what two machines recorded

Runs one training after another with fer-search's own training code. If killed, the same command resumes and loses at
most the current epoch. Several processes may share the folder, one for each core: each takes the next training run that
no other has. Another machine begins with a later design (``--first``) and needs a folder of its own. A row is appended
to FOLDER/study.csv when a training run ends. The order is fixed: design 0 is the
default, every third design differs from it in one to three choices ("neighbour"), and the others are drawn uniformly.
Every eighth design has three seeds, to estimate the noise between seeds. 320 designs are 400 training runs
of about 75 seconds on one core each.
"""

from __future__ import annotations

import argparse
import csv
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from fer_search import backend

backend.start()

import numpy as np  # noqa: E402

from fer_search.models import measure_cost  # noqa: E402
from fer_search.search.run import load_data  # noqa: E402
from fer_search.search.settings import Settings  # noqa: E402
from fer_search.search.state import trial_data  # noqa: E402
from fer_search.space import Space, load_space  # noqa: E402
from fer_search.training.precision import resolve_precision  # noqa: E402
from fer_search.training.trial import Trial, TrialData, TrialFailed, train  # noqa: E402

HERE = Path(__file__).resolve().parent
DESIGNS, EPOCHS, IMAGES = 320, 9, 5000
SEEDS, REPEAT_EVERY, NEIGHBOUR_EVERY = 3, 8, 3
CURVES = {"val_acc": "val_accuracy", "val_loss": "val_loss", "train_acc": "accuracy", "seconds": "seconds"}


def plan(space: Space, designs: int) -> Iterator[tuple[int, str, int, Any]]:
    """Yield number, origin, seed and hyperparameters of each training run, in order."""
    for number in range(designs):
        rng = np.random.default_rng([7, number])
        hp, origin = space.sample(rng), "uniform"
        if number == 0:
            hp, origin = space.baseline("default"), "default"
        elif number % NEIGHBOUR_EVERY == 0:
            hp, origin = _neighbour(space, hp, rng), "neighbour"
        for seed in range(SEEDS if number % REPEAT_EVERY == 0 else 1):
            yield number, origin, seed, hp


def _neighbour(space: Space, drawn: Any, rng: np.random.Generator) -> Any:
    """Return the default with one to three choices replaced by drawn values."""
    hp = space.baseline("default")
    changed = [name for name in hp.values if drawn.values.get(name, hp.values[name]) != hp.values[name]]
    some = rng.choice(changed, min(int(rng.integers(1, 4)), len(changed)), replace=False)
    hp.values |= {name: drawn.values[name] for name in some}
    if hp.values["family"] != "residual":
        hp.values.pop("shortcut", None)
    return hp


def columns(space: Space) -> list[str]:
    choices = [choice.name for choice in space.choices().space]
    curves = [f"{name}_{epoch}" for name in CURVES for epoch in range(1, EPOCHS + 1)]
    return ["design", "origin", "seed", *choices, "parameters", "flops", "precision", "failed", *curves]


def gather(folder: Path, data: str, designs: range) -> None:
    """Run all training runs of some designs that are not in the table yet."""
    space = load_space(HERE / "space.py")
    settings = Settings(space=HERE / "space.py", data=data, limit_train=IMAGES, max_epochs=EPOCHS, seed=0)
    dataset, split = load_data(settings)
    seen = trial_data(dataset, split)
    about: dict[str, Any] = {"versions": backend.versions(), "backend": backend.start(), "device": backend.device()}
    about |= {"images": IMAGES, "validation": len(split.validation), "data": dataset.fingerprint}
    (folder / "about.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    table = folder / "study.csv"
    for number, origin, seed, hp in plan(space, designs.stop):
        if number not in designs:
            continue
        trial_folder = folder / f"design_{number:04d}_seed_{seed}"
        trial_folder.mkdir(exist_ok=True)
        with lock(trial_folder, wait=False) as held:
            if not held or (str(number), str(seed)) in _done(table):
                continue
            row: dict[str, Any] = {"design": number, "origin": origin, "seed": seed, **hp.values}
            row |= _train(space.design(hp.copy()), trial_folder, number, seed, seen)
            append(table, columns(space), row)
        print(f"design {number} ({origin}), seed {seed}: {row.get(f'val_acc_{EPOCHS}', row['failed'])}", flush=True)


@contextmanager
def lock(folder: Path, wait: bool = True) -> Iterator[bool]:
    """Lock a folder against the other processes; yield whether it is held, which only ``wait=False`` can deny."""
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _done(table: Path) -> set[tuple[str, str]]:
    return {(row["design"], row["seed"]) for row in read_table(table)}


def _train(design: Any, folder: Path, number: int, seed: int, data: TrialData) -> dict[str, Any]:
    """Train a design; return its part of the row. Only epochs.csv is kept on disk."""
    cost = measure_cost(design)
    about: dict[str, Any] = {"parameters": cost.parameters, "flops": cost.flops, "failed": ""}
    about["precision"] = resolve_precision(design.optimisation.precision)
    try:
        rows = train(Trial(design, EPOCHS, folder, seed, number), data)
    except TrialFailed as error:
        return about | {"failed": str(error)}
    for checkpoint in folder.glob("*.h5"):
        checkpoint.unlink()
    curves = {f"{name}_{int(row['epoch'])}": round(row[key], 5) for row in rows for name, key in CURVES.items()}
    return about | curves


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of the table, without a last one that is incomplete."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return list(csv.DictReader(text[: text.rfind("\n") + 1].splitlines()))


def append(path: Path, names: list[str], row: dict[str, Any]) -> None:
    """Append a row and sync it to disk. A last row truncated by a kill is removed first."""
    with lock(path.parent), path.open("a+", encoding="utf-8", newline="") as file:
        file.seek(0)
        text = file.read()
        complete = text[: text.rfind("\n") + 1]
        file.truncate(len(complete.encode()))
        writer = csv.DictWriter(file, names, lineterminator="\n")
        if not complete:
            writer.writeheader()
        writer.writerow(row)
        file.flush()
        os.fsync(file.fileno())


def join_tables(folders: list[Path]) -> list[dict[str, str]]:
    """Return the rows of several folders' tables, with the device that each was recorded on, ordered by design.

    Of a training run that several have, the first folder's row is kept.
    """
    rows: dict[tuple[int, int], dict[str, str]] = {}
    for folder in folders:
        device = json.loads((folder / "about.json").read_text(encoding="utf-8"))["device"]
        for row in read_table(folder / "study.csv"):
            rows.setdefault((int(row["design"]), int(row["seed"])), row | {"device": device})
    return [rows[key] for key in sorted(rows)]


def copy_tables(folders: list[Path]) -> None:
    """Copy the joined table, and what describes each folder, into this folder."""
    rows = join_tables(folders)
    with (HERE / "study.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    abouts = [json.loads((folder / "about.json").read_text(encoding="utf-8")) for folder in folders]
    (HERE / "about.json").write_text(json.dumps(abouts, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="auto", help="FER2013 in any format that fer-search reads")
    parser.add_argument("--folder", type=Path, nargs="+", default=[Path("study")], help="training runs and the table")
    parser.add_argument("--first", type=int, default=0, help="number of the first design (default: 0)")
    parser.add_argument("--designs", type=int, default=DESIGNS, help=f"design to stop before (default: {DESIGNS})")
    parser.add_argument("--table-only", action="store_true", help="train nothing: copy the tables into this folder")
    options = parser.parse_args()
    if options.table_only:
        copy_tables(options.folder)
        return
    if len(options.folder) > 1:
        parser.error("several folders only go with --table-only")
    folder = options.folder[0]
    folder.mkdir(parents=True, exist_ok=True)
    gather(folder, options.data, range(options.first, options.designs))


if __name__ == "__main__":
    main()
