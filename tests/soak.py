"""Kills real searches at random instants and checks that each ends as one that was never interrupted.

    python tests/soak.py 100                 # SIGKILL 100 times, spread over the four tuners; about 10 s a kill
    python tests/soak.py 20 --tuner grid --seed 7

Each tuner searches a tiny space on the toy faces, once in peace and once killed again and again, anywhere between the
start of the process and its end. The folders must then agree: every trial.json and epochs.csv (their times left out),
oracle.json, and every number in the kept weights, bit for bit. Exit code 1 if they do not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

SPACE = """
from fer_search.design import Augmentation, Design, Head, Optimisation, Residual
def design(hp):
    filters = hp.Choice("filters", [4, 2, 6])
    return Design(
        network=Residual(stages=((filters,), (filters,)), downsample=hp.Choice("downsample", ["strided", "max_pool"])),
        head=Head(dropout=hp.Choice("dropout", [0.0, 0.2])),
        augmentation=Augmentation(rotation=10, flip=True, mixup_alpha=0.3),
        optimisation=Optimisation(batch_size=32, learning_rate=hp.Choice("rate", [0.01, 0.003])),
    )
baselines = {"plain": {}}
"""
TUNERS = {
    "random": ["--max-trials", "6", "--max-epochs", "4", "--patience", "2"],
    "bayesian": ["--max-trials", "7", "--max-epochs", "4", "--prune", "median"],
    "grid": ["--max-trials", "6", "--max-epochs", "4"],
    "hyperband": ["--max-epochs", "4", "--factor", "2", "--max-disk", "1MB"],
}


def command(folder: Path, tuner: str) -> list[str]:
    where = ["--space", str(folder.parent / "tiny.py"), "--data", "toy", "--results-dir", str(folder)]
    return [
        sys.executable,
        "-m",
        "fer_search.cli",
        "run",
        *where,
        "--limit-train",
        "128",
        "--tuner",
        tuner,
        *TUNERS[tuner],
    ]


def run_in_peace(folder: Path, tuner: str) -> float:
    """Run a search to its end; return how long that took."""
    began = time.monotonic()
    done = subprocess.run(command(folder, tuner), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began


def run_killed(folder: Path, tuner: str, kills: int, longest: float, rng: random.Random) -> int:
    """Kill a search at random instants, then let it end; return how many kills hit a living process."""
    hits = 0
    for _ in range(kills):
        process = subprocess.Popen(command(folder, tuner), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(rng.uniform(0, longest))
        hits += process.poll() is None
        process.kill()
        _, err = process.communicate()
        assert process.returncode in (0, -9), err
        if process.returncode == 0:  # it ended before it was hit: start over, to be hit again
            remove(folder)
    done = subprocess.run(command(folder, tuner), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return hits


def remove(folder: Path) -> None:
    subprocess.run(["rm", "-r", str(folder)], check=True)


def state(run: Path) -> dict:
    """Return all that a search computed, times left out."""
    found: dict = {}
    for folder in sorted(run.glob("trial_*")):
        trial = json.loads((folder / "trial.json").read_text())
        trial["metrics"]["metrics"].pop("seconds", None)
        lines = [line.split(",") for line in (folder / "epochs.csv").read_text().splitlines()]
        seconds = lines[0].index("seconds")
        rows = [[value for k, value in enumerate(line) if k != seconds] for line in lines]
        found[folder.name] = {
            "trial": trial,
            "rows": rows,
            "weights": {p.name: weights(p) for p in folder.glob("*.h5")},
        }
    oracle = json.loads((run / "oracle.json").read_text())
    return found | {"oracle": {key: value for key, value in oracle.items() if key != "display"}}


def weights(path: Path) -> dict[str, bytes]:
    arrays: dict[str, bytes] = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: arrays.update({name: np.asarray(item).tobytes()}) if hasattr(item, "shape") else None
        )
    return arrays


def soak(tuner: str, kills: int, rng: random.Random, root: Path) -> tuple[int, bool]:
    """Return how many kills hit, and whether the killed search ended as the other."""
    peace, killed = root / f"{tuner}-peace", root / f"{tuner}-killed"
    longest = run_in_peace(peace, tuner)
    hits = run_killed(killed, tuner, kills, longest, rng)
    same = state(peace / "tiny") == state(killed / "tiny")
    trials = len(list((killed / "tiny").glob("trial_*")))
    print(f"{tuner}: {hits} kills, {trials} trials, {'equal bit for bit' if same else 'DIFFERENT'}", flush=True)
    return hits, same


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, help="how many kills in all")
    parser.add_argument("--tuner", choices=list(TUNERS), help="one tuner instead of all four")
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    args = parser.parse_args()
    tuners = [args.tuner] if args.tuner else list(TUNERS)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    rng, results = random.Random(args.seed), []
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tiny.py").write_text(SPACE)
        for tuner in tuners:
            results.append(soak(tuner, -(-args.count // len(tuners)), rng, Path(folder)))
    print(f"{sum(hits for hits, _ in results)} kills, {sum(not same for _, same in results)} searches that differ")
    return 0 if all(same for _, same in results) else 1


if __name__ == "__main__":
    sys.exit(main())
