"""Does the resident memory of a process grow by less than 5% over 60 trials, after the first ten?

    python benchmarks/memory.py                   # two to four minutes on two CPU cores
    KERAS_BACKEND=jax python benchmarks/memory.py

Each trial runs ``fer_search.training.trial.train`` as a search does, for one epoch of 64 images, on one of a few random
designs of search_spaces/tiny.py in rotation, so that JAX's disk cache (in a temporary folder) has them after the first
time. tests/training/test_memory.py is a shorter version.
"""

from __future__ import annotations

import gc
import os
import tempfile
from pathlib import Path

import common
import figure_1
import numpy as np

from fer_search import backend

FIRST = 10  # number of trials in which libraries fill their caches
ALLOWED = 1.05


def resident() -> float:
    """Return this process's resident memory, MB (Linux)."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def run_trials(count: int, designs: int, source: str) -> list[float]:
    """Train trials and return the resident memory after each, MB."""
    from fer_search.space import load_space
    from fer_search.training.trial import Trial, TrialData, train

    space, rng = load_space(common.ROOT / "search_spaces" / "tiny.py"), np.random.default_rng(0)
    chosen = [space.design(space.sample(rng)) for _ in range(designs)]
    images, labels, _ = figure_1.load_faces(source, 64 + 14)
    data = TrialData(images[:64], labels[:64], images[64:], labels[64:])
    sizes = []
    for number in range(count):
        with tempfile.TemporaryDirectory() as folder:
            train(Trial(chosen[number % designs], 1, Path(folder), seed=0, number=number), data)
        sizes.append(resident())
        if not (number + 1) % FIRST:
            common.say(f"trial {number + 1} of {count}: {sizes[-1]:.0f} MB")
    return sizes


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--data", default="auto", help="FER2013 in any form, or toy (default: auto)")
    parser.add_argument("--trials", type=int, help="number of trials (default: 60)")
    parser.add_argument("--designs", type=int, help="number of different designs in rotation (default: 5)")
    options = parser.parse_args()
    if not Path("/proc/self/statm").exists():
        raise SystemExit("memory.py needs Linux' /proc")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["FER_SEARCH_CACHE"] = cache
        name = backend.start()
        count = options.trials or (FIRST + 4 if options.quick else 60)
        sizes = run_trials(count, options.designs or (2 if options.quick else 5), options.data)
    if count <= FIRST:
        raise SystemExit(f"--trials must be above {FIRST}, the trials in which libraries fill their caches")
    table = common.Table(f"Resident memory over {count} trials in one process, {name}", ["after trial", "MB"])
    shown = [1, *range(FIRST, count, FIRST), count]
    table.rows += [[str(k), f"{sizes[k - 1]:,.0f}"] for k in shown]
    growth = max(sizes[FIRST:]) / sizes[FIRST - 1]
    verdict = "flat" if growth <= ALLOWED else "NOT FLAT"
    growth_text = f"the maximum after trial {FIRST} is {growth:.3f} times the memory at that trial"
    table.notes.append(f"{verdict.capitalize()}: {growth_text} (limit: {ALLOWED}).")
    common.report(options, [table], {"resident_mb": sizes})


if __name__ == "__main__":
    main()
