"""Speed-up and costs of running several trials in parallel.

    python benchmarks/workers.py             # about ten minutes on two CPU cores

The same trials of search_spaces/tiny.py are trained alternately one after the other in this process on all cores, and
on Ray workers that divide the cores equally. Both are started beforehand, and start-up time is reported separately.
``benchmarks/many_workers.py`` measures how many workers one search can keep busy.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import common
import numpy as np
from sleeping import Number, Silent, Sleep

from fer_search import backend


def compare(workers: int, trials: int, rounds: int, source: str) -> tuple[list[common.Table], dict[str, Any]]:
    """Train the same trials alternately in this process and on workers."""
    import figure_1

    from fer_search.search.executors.here import Here
    from fer_search.search.executors.ray_cluster import Cluster, prepare_environment

    prepare_environment(None)
    from fer_search.search.executors.ray_executor import RayExecutor
    from fer_search.search.executors.ray_worker import WorkerOptions
    from fer_search.search.trials.signals import Stop
    from fer_search.space import load_space
    from fer_search.training.trial import TrialData

    space, rng = load_space(common.ROOT / "search_spaces" / "tiny.py"), np.random.default_rng(0)
    designs = [space.design(space.sample(rng)) for _ in range(trials)]
    images, labels, _ = figure_1.load_faces(source, 600)
    data = TrialData(images[:500], labels[:500], images[500:], labels[500:])
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        options = WorkerOptions(workers, max(backend.cores() // workers, 1))
        cluster = Cluster(None, workers, images.nbytes, options.environment())
        ray_started = time.perf_counter()
        executor = RayExecutor(options, cluster, Path(folder))
        executor.load(data)
        while any(worker.info is None for worker in executor.workers):
            executor.pool.check_starts(0.1)
        ready = time.perf_counter()
        here, counter = Here(data, Stop()), iter(range(10**6))
        arms = {
            "1 worker": lambda: train(here, designs, Path(folder), next(counter)),
            f"{workers} workers": lambda: train(executor, designs, Path(folder), next(counter)),
        }
        for compute in arms.values():  # libraries fill their caches
            compute()
        seconds = common.interleave(rounds, arms)
        overhead = round_trip(executor, Path(folder))
        memory = [worker.memory / 1e6 for worker in executor.workers]
        executor.close()
    single, several = seconds["1 worker"], seconds[f"{workers} workers"]
    fraction = overhead / (statistics.median(several) * workers / trials)
    table = common.Table(
        f"{trials} trials of tiny.py, 500 images, 2 epochs each, {backend.cores()} cores",
        ["", "seconds", "speed-up"],
    )
    table.rows.append(["1 worker on all cores", str(common.spread(single)), "1"])
    table.rows.append([f"{workers} workers", str(common.spread(several)), str(common.ratios(single, several))])
    table.notes += [
        f"Starting Ray: {ray_started - began:.1f} s; its workers with TensorFlow: {ready - ray_started:.1f} s more.",
        f"Memory of a worker: {max(memory):,.0f} MB resident, partly shared library code.",
        f"Dispatching a trial and receiving its result: {1000 * overhead:.1f} ms, {fraction:.2%} of a trial here.",
        f"Load average of this machine, of {backend.cores()} cores, at the end: {os.getloadavg()[0]:.1f}.",
    ]
    raw = {"one": single, "several": several, "ray_start": ray_started - began, "worker_start": ready - ray_started}
    return [table], raw | {"worker_mb": memory, "overhead": overhead, "load": os.getloadavg()}


def train(executor: Any, designs: list[Any], folder: Path, number: int) -> float:
    """Train every design for two epochs; return the seconds."""
    from fer_search.search.executors.job import Job
    from fer_search.search.scheduling.stopping import StoppingRule
    from fer_search.training.trial import Trial

    jobs = []
    for k, design in enumerate(designs):
        path = folder / f"round_{number}" / f"trial_{k:04d}"
        path.mkdir(parents=True)
        jobs.append(Job(Trial(design, 2, path, seed=0, number=k), StoppingRule(None, (), 2), {}))
    began, running, ended = time.perf_counter(), 0, 0
    while ended < len(designs):
        while jobs and running < executor.slots:
            executor.submit(jobs.pop(0))
            running += 1
        for _, outcome in executor.wait(Silent()):
            if outcome.status != "completed":
                raise SystemExit(f"a trial {outcome.status}: {outcome.message}")
            running, ended = running - 1, ended + 1
    return time.perf_counter() - began


def round_trip(executor: Any, folder: Path, count: int = 50) -> float:
    """Return the median seconds between dispatching an empty job and its result, including leases and locks."""
    seconds = []
    for number in range(count):
        job = Sleep(Number(number), 0.0)
        began = time.perf_counter()
        executor.backlog.append(job)
        while not executor.wait(Silent()):
            pass
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--data", default="toy", help="FER2013 in any form, or toy (default: toy)")
    parser.add_argument("--workers", type=int, default=2, help="number of workers (default: 2)")
    parser.add_argument("--rounds", type=int, help="number of rounds (default: 5)")
    parser.add_argument("--trials", type=int, help="trials per round (default: 12)")
    options = parser.parse_args()
    backend.start()
    trials = options.trials or (4 if options.quick else 12)
    tables, raw = compare(options.workers, trials, options.rounds or (1 if options.quick else 5), options.data)
    common.report(options, tables, raw)


if __name__ == "__main__":
    main()
