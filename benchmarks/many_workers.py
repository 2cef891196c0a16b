"""How many workers can one search keep busy?

    python benchmarks/many_workers.py --workers 64 --nodes 4 --trials 2000

Runs the search loop (``fer_search.search.loop``) with workers on nodes emulated on this machine and fake training runs
that sleep for 50 ms to 2 s, distributed uniformly and then log-uniformly, which makes them half as long. Measures the
workers' utilisation and the driver's time per trial.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import common
from sleeping import LONGEST, SHORTEST, SPREADS, IdleWorker, Number, Sleep, seconds_of

from fer_search import backend


def simulate(workers: int, nodes: int, trials: int, ahead: str, spread: str) -> tuple[common.Table, dict[str, Any]]:
    """Run the search loop with many workers and fake training runs; return their utilisation."""
    from fer_search.search.executors.ray_cluster import Cluster, prepare_environment

    prepare_environment("auto")
    import ray
    from ray.cluster_utils import Cluster as EmulatedCluster

    from fer_search.search.executors.ray_executor import RayExecutor
    from fer_search.search.executors.ray_worker import WorkerOptions

    each = -(-workers // nodes)
    emulated = EmulatedCluster(initialize_head=True, head_node_args={"num_cpus": each, "object_store_memory": 10**8})
    for _ in range(nodes - 1):
        emulated.add_node(num_cpus=each, object_store_memory=10**8)
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(emulated.address, workers, 10**6)
        executor = RayExecutor(WorkerOptions(workers, 1), cluster, Path(folder) / "run", kind=IdleWorker)
        while any(worker.info is None for worker in executor.workers):
            executor.pool.check_starts(0.1)
        common.say(f"{workers} workers on {len(ray.nodes())} nodes are ready")
        result = drive(executor, Path(folder), trials, ahead, spread)
        executor.close()
    emulated.shutdown()
    table = common.Table(
        f"Simulated: {workers} workers on {nodes} emulated nodes, {trials:,} fake trials of {SHORTEST} to {LONGEST} s, "
        f"{spread} (mean {SPREADS[spread]} s)",
        ["trials", "workers busy", "driver per trial", "driver's memory"],
    )
    for part in result["parts"]:
        table.rows.append(
            [f"{part['trials']:,}", f"{part['busy']:.0%}", f"{1000 * part['cpu']:.1f} ms", f"{part['memory']:,.0f} MB"]
        )
    table.notes.append(
        f"--ahead {ahead}; all nodes, workers and the driver on {backend.cores()} cores, load average "
        f"{os.getloadavg()[0]:.0f}. The driver's time is CPU time."
    )
    return table, result


def drive(executor: Any, folder: Path, trials: int, ahead: str, spread: str) -> dict[str, Any]:
    """Run the search loop over sleeping workers; return its figures for every fifth of the trials."""
    from fer_search.search.loop import SearchLoop
    from fer_search.search.trials.signals import Stop

    recorder = Recorder()
    state = make_state(executor.slots, folder, trials, ahead, recorder)
    prepare = state.jobs.prepare

    def asleep(proposed: Any) -> Any:
        prepared = prepare(proposed)
        number = prepared.job.trial.number

        class Asleep(type(prepared.job)):  # type: ignore[misc]
            def with_absolute_paths(self) -> Sleep:
                return Sleep(Number(number), seconds_of(number, spread))

        fields = {field.name: getattr(prepared.job, field.name) for field in dataclasses.fields(prepared.job)}
        return dataclasses.replace(prepared, job=Asleep(**fields))

    state.jobs.prepare = asleep
    # as if the predictions were stored at once: a search looks at the best trial's files until they are
    executor.predict = lambda run, trial_id, *more: setattr(state, "predicted", trial_id)
    began = (time.monotonic(), time.process_time(), resident())
    ending = SearchLoop(state, executor, Stop()).run()
    if ending != "finished" or len(recorder.ends) != trials:
        raise SystemExit(f"the search {ending}, {len(recorder.ends)} of {trials} trials ended")
    durations = [seconds_of(number, spread) for number in range(trials)]
    return {"parts": figures(began, recorder.ends, executor.slots, durations)}


class Recorder:
    """Records when trials end."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float, float]] = []

    def show(self, event: Any) -> None:
        """Record an event of the search."""
        if type(event).__name__ == "TrialEnded":
            self.ends.append((time.monotonic(), time.process_time(), resident()))

    def close(self) -> None:
        """Nothing to close."""


def make_state(workers: int, folder: Path, trials: int, ahead: str, recorder: Recorder) -> Any:
    """Return the state of a search over a space with one small network, ready to run."""
    from fer_search.data.dataset import Dataset
    from fer_search.data.split import make_split
    from fer_search.data.toy import draw_faces
    from fer_search.runfolder.folder import RunFolder
    from fer_search.search.settings import Settings
    from fer_search.search.state import new_state
    from fer_search.space import load_space

    images, labels, splits = draw_faces(420, 210)
    dataset = Dataset(images, labels, splits, "toy faces", "toy", toy=True)
    space = folder / "space.py"
    space.write_text(
        "from fer_search.design import Design, Optimisation, Plain\n"
        "def design(hp):\n"
        "    return Design(network=Plain(stages=((2,),)),\n"
        "        optimisation=Optimisation(learning_rate=hp.Float('rate', 1e-5, 1e-1, sampling='log')))\n"
    )
    window: int | str = "any" if ahead == "any" else int(ahead)
    options: dict[str, Any] = {"tuner": "random", "max_trials": trials, "baselines": "none", "max_epochs": 1}
    settings = Settings(space, results_dir=folder, name="run", workers=workers, ahead=window, **options)
    run = RunFolder(settings.folder)
    run.path.mkdir(exist_ok=True)
    state = new_state(settings, load_space(space), [], dataset, make_split(dataset, limit_train=64), run, recorder)
    state.workers, state.started, state.info = workers, time.monotonic(), {"estimate_seconds": [1.0, 2.0]}
    state.ahead, state.oracle.concurrent = None if window == "any" else int(window), True
    return state


def figures(began: Any, ends: list[Any], slots: int, durations: list[float], parts: int = 5) -> list[dict[str, float]]:
    """Return the worker utilisation and driver cost per trial for each part of a search."""
    shown, before, done = [], began, 0
    for part in range(1, parts + 1):
        count = len(durations) * part // parts
        now = ends[count - 1]
        work = sum(durations[done:count])
        shown.append(
            {
                "trials": count,
                "busy": work / (slots * (now[0] - before[0])),
                "cpu": (now[1] - before[1]) / (count - done),
                "memory": now[2],
            }
        )
        before, done = now, count
    return shown


def resident() -> float:
    """Return this process's resident memory, MB (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--workers", type=int, default=64, help="number of workers (default: 64)")
    parser.add_argument("--nodes", type=int, default=4, help="number of emulated nodes (default: 4)")
    parser.add_argument("--trials", type=int, help="number of trials (default: 2000)")
    parser.add_argument("--ahead", default="any", help="window of the search (default: any)")
    options = parser.parse_args()
    backend.start()
    trials = options.trials or (200 if options.quick else 2000)
    results = {s: simulate(options.workers, options.nodes, trials, options.ahead, s) for s in SPREADS}
    common.report(options, [table for table, _ in results.values()], {s: raw for s, (_, raw) in results.items()})


if __name__ == "__main__":
    main()
