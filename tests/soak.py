"""Kills real searches at random instants and checks that they resume to the result of an uninterrupted search.

    python tests/soak.py 100                 # 100 SIGKILLs over all tuners; about 6 s per kill on two idle cores
    python tests/soak.py 20 --tuner grid --seed 7
    python tests/soak.py 100 --workers 2     # kills workers and drivers of parallel searches on Ray

Each tuner searches a tiny space on the toy faces, once uninterrupted and then repeatedly killed at any point between
process start and exit. The folders must then agree bit for bit: every trial.json and epochs.csv (except times),
oracle.json, all saved weights, and the file names. Exit code 1 if they differ.

The killed searches are forks of this process, which has imported everything but computed nothing, so it has a single
thread and each start saves the imports. Uninterrupted searches and the final restarts run the actual command, which
would reveal any difference caused by forking. A trial is marked failed after its third crash without progress, so a
search is killed at most twice before its trial has made progress.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}  # before NumPy
os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"  # PyArrow, where installed, would start a thread

import h5py
import numpy as np

from fer_search import backend, cli

SPACE = """
from fer_search.design import Augmentation, Design, Head, Optimisation, Plain
def design(hp):
    filters = hp.Choice("filters", [4, 2, 6])
    return Design(
        network=Plain(stages=((filters,), (filters,)), downsample=hp.Choice("downsample", ["strided", "max_pool"])),
        head=Head(dropout=hp.Choice("dropout", [0.0, 0.2])),
        augmentation=Augmentation(rotation=10, flip=True, mixup_alpha=0.3),
        optimisation=Optimisation(batch_size=32, learning_rate=hp.Choice("rate", [0.01, 0.003])),
    )
baselines = {"plain": {}}
"""
TUNERS = {
    "guided": ["--max-trials", "10", "--max-epochs", "4", "--factor", "2", "--min-steps", "8", "--max-disk", "0.2MB"],
    "random": ["--max-trials", "5", "--max-epochs", "3", "--patience", "2"],
    "bayesian": ["--max-trials", "6", "--max-epochs", "3", "--prune", "median"],
    "grid": ["--max-trials", "5", "--max-epochs", "3"],
    "hyperband": ["--max-trials", "9", "--max-epochs", "4", "--factor", "2", "--max-disk", "0.2MB"],
}
LONGEST = 3  # maximum run time of a start, in trials
AHEAD = 3  # window of the parallel searches
PARALLEL: list[str] = []  # options of the killed but not of the uninterrupted searches


def options(folder: Path, tuner: str) -> list[str]:
    """Return a search's command line.

    With workers without a disk limit: which weights fit in it depends on how many trials are trained at once.
    """
    given = TUNERS[tuner]
    if PARALLEL and "--max-disk" in given:
        given = given[: given.index("--max-disk")]
    where = ["--space", str(folder.parent / "tiny.py"), "--data", "toy", "--results-dir", str(folder)]
    return ["run", *where, "--limit-train", "128", "--tuner", tuner, *given]


def run_uninterrupted(folder: Path, tuner: str, more: list[str] | None = None) -> float:
    """Run an uninterrupted search; return its duration in seconds."""
    began = time.monotonic()
    command = [sys.executable, "-m", "fer_search.cli", *options(folder, tuner), *(more or [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began


def start(folder: Path, tuner: str) -> int:
    """Start a search in a fork; return its process id. Its output goes to a file next to its folder."""
    assert len(os.listdir("/proc/self/task")) == 1
    if process := os.fork():
        return process
    code: object = 1
    try:
        out = os.open(folder.with_suffix(".txt"), os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.argv = ["fer-search", *options(folder, tuner), *PARALLEL]
        cli.main()
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def max_starts() -> int:
    """Return the start of a trial, without progress since its first, that must not be killed.

    The fourth start marks it failed. A worker may begin another start in the moment before it notices that its driver
    was killed.
    """
    return 2 if PARALLEL else 3


def kill(process: int, folder: Path) -> bool:
    """Kill a search once this is not a trial's third crash without progress; return whether it was still running."""
    while True:
        os.kill(process, signal.SIGSTOP)
        _, status = os.waitpid(process, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            code = os.waitstatus_to_exitcode(status)
            assert code == 0, folder.with_suffix(".txt").read_text()
            return False
        markers = [json.loads(marker.read_text()) for marker in folder.glob("*/trial_*/training.json")]
        if all(marker["starts"] < max_starts() for marker in markers):
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return True
        os.kill(process, signal.SIGCONT)
        time.sleep(0.2)


def kill_workers(folder: Path, seconds: float, process: int, rng: random.Random) -> int:
    """Repeatedly kill workers of a search during their trials for some seconds; return the number of kills."""
    killed, deadline = 0, time.monotonic() + seconds
    running = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while time.monotonic() < deadline and os.waitid(os.P_PID, process, running) is None:
        time.sleep(rng.uniform(0.2, 3.0))
        locks = list(folder.glob("*/.workers/*/.lock"))
        rng.shuffle(locks)
        for lock in locks:
            marker = lock.parents[2] / f"trial_{lock.parent.name}" / "training.json"
            with contextlib.suppress(OSError, ValueError, KeyError):  # the worker has just exited
                if json.loads(marker.read_text())["starts"] < max_starts():
                    os.kill(json.loads(lock.read_text())["pid"], signal.SIGKILL)
                    killed += 1
                    break
    return killed


def state(run: Path) -> dict:
    """Return everything that a search computed, except times."""
    result: dict = {}
    for folder in sorted(run.glob("trial_*")):
        trial = json.loads((folder / "trial.json").read_text())
        trial["metrics"]["metrics"].pop("seconds", None)
        trial.pop("checksum")  # it covers the times, as do the rows' checksums
        lines = [line.split(",") for line in (folder / "epochs.csv").read_text().splitlines()]
        times = [lines[0].index(name) for name in ("seconds", "crc32")]
        rows = [[value for k, value in enumerate(line) if k not in times] for line in lines]
        result[folder.name] = {
            "trial": trial,
            "rows": rows,
            "weights": {p.name: weights(p) for p in folder.glob("*.h5")},
            "files": sorted(path.name for path in folder.iterdir()),
        }
    oracle = json.loads((run / "oracle.json").read_text())
    return result | {"oracle": {key: value for key, value in oracle.items() if key not in ("display", "checksum")}}


def weights(path: Path) -> dict[str, bytes]:
    arrays: dict[str, bytes] = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: arrays.update({name: np.asarray(item).tobytes()}) if hasattr(item, "shape") else None
        )
    return arrays


def difference(found: Any, expected: Any, where: str = "") -> str:
    """Return where two states differ first, and how; "" if they do not."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted(found.keys() | expected.keys()):
            if key not in found or key not in expected:
                return f"{where}/{key} is {'missing' if key in expected else 'new'}"
            if text := difference(found[key], expected[key], f"{where}/{key}"):
                return text
        return ""
    return "" if found == expected else f"{where} is {found!r:.300}, not {expected!r:.300}"


def compare(run: Path, expected: dict, tuner: str) -> bool:
    """Return whether a search has the uninterrupted search's result; prints where not."""
    if text := difference(state(run), expected):
        print(f"{tuner}: {text}", flush=True)
    return not text


def soak(tuner: str, kills: int, rng: random.Random, root: Path) -> tuple[int, bool]:
    """Return the number of kills and whether every killed search gave the uninterrupted search's result."""
    uninterrupted, killed = root / f"{tuner}-uninterrupted", root / f"{tuner}-killed"
    window = ["--ahead", str(AHEAD)] if PARALLEL else []
    began, seconds = time.monotonic(), run_uninterrupted(uninterrupted, tuner, window)
    expected = state(uninterrupted / "tiny")
    longest = LONGEST * seconds / (len(expected) - 1)
    hits, same = 0, []
    while hits < kills:
        process = start(killed, tuner)
        if PARALLEL:
            hits += kill_workers(killed, rng.uniform(0, 4 * longest), process, rng)
        else:
            time.sleep(rng.uniform(0, longest))
        if kill(process, killed):
            hits += 1
        else:  # it finished before the kill; the next one starts from scratch
            same.append(compare(killed / "tiny", expected, tuner))
            shutil.rmtree(killed)
    run_uninterrupted(killed, tuner, PARALLEL)
    same.append(compare(killed / "tiny", expected, tuner))
    verdict = "all equal bit for bit" if all(same) else f"{same.count(False)} DIFFERENT"
    duration = f"{time.monotonic() - began:.0f} s"
    print(f"{tuner}: {hits} kills, {len(same)} x {len(expected) - 1} trials, {verdict}, {duration}", flush=True)
    return hits, all(same)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, help="total number of kills")
    parser.add_argument("--tuner", choices=list(TUNERS), help="test one tuner instead of all five")
    parser.add_argument("--seed", type=int, default=0, help="random seed for the kill times")
    parser.add_argument("--workers", type=int, default=1, help="number of workers; more than 1 also kills workers")
    args = parser.parse_args()
    if args.workers > 1:
        os.environ["TF_NUM_INTRAOP_THREADS"] = "1"  # the number of threads affects the last digits of sums
        PARALLEL.extend(["--workers", str(args.workers), "--ahead", str(AHEAD)])
    tuners = [args.tuner] if args.tuner else list(TUNERS)
    backend.start()
    for module in ("search.run", "search.display", "report"):  # the imports of a start
        importlib.import_module(f"fer_search.{module}")
    rng, results = random.Random(args.seed), []
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tiny.py").write_text(SPACE)
        for tuner in tuners:
            results.append(soak(tuner, -(-args.count // len(tuners)), rng, Path(folder)))
    print(f"{sum(hits for hits, _ in results)} kills, {sum(not same for _, same in results)} tuners that differ")
    return 0 if all(same for _, same in results) else 1


if __name__ == "__main__":
    sys.exit(main())
