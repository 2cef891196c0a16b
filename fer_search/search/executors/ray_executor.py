"""The executor of a search with several workers: each is a Ray actor in a process of its own, here or on a cluster.

Ray transports, schedules and supervises; only the files ``ray_*.py`` import it. What a worker does is in ``worker``,
and how workers are started and replaced in ``ray_pool``. The trial of a worker that dies is returned as lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import ray

from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.search.executors.lease import remove_leases
from fer_search.search.executors.outcome import Outcome, WorkerStatus
from fer_search.search.executors.ray_cluster import Cluster
from fer_search.search.executors.ray_pool import WorkerPool
from fer_search.search.executors.ray_worker import RayWorker, WorkerOptions
from fer_search.search.executors.worker import Worker

if TYPE_CHECKING:
    from fer_search.design import Design
    from fer_search.search.executors.executor import Listener, Task
    from fer_search.search.scheduling.estimate import SampledDesign
    from fer_search.search.scheduling.speed import Speed

POLL_SECONDS = 0.25  # longest wait for results before the driver looks at signals and news
NEWS_SECONDS = 1.0  # between two questions for a worker's progress, at least
NEWS_PER_SECOND = 16  # such questions to all workers, at most
STOP_SECONDS = 120.0  # that workers have to save what they trained
WORKERS_PER_SPARE_JOB = 8  # with fewer workers none: it would be announced long before it is trained


class RayExecutor:
    """Trains trials on Ray actors.

    Args:
        options: How workers are started.
        cluster: Where they live.
        run: Run folder; on a cluster every node must see it under the same path.
        should_stop: Whether the search is to stop; asked while workers start.
        kind: Class of the workers.
    """

    def __init__(
        self,
        options: WorkerOptions,
        cluster: Cluster,
        run: Path,
        should_stop: Callable[[], bool] = lambda: False,
        kind: type[Worker] = Worker,
    ) -> None:
        self.pool = WorkerPool(options, cluster, should_stop, kind)
        self.cluster, self.run = cluster, run.absolute()
        self.backlog: deque[Task] = deque()
        self.stopping = False
        self.speed: Speed | None = None
        self.prediction: Any = None  # future
        self.notes = self.pool.notes

    def load(self, data: Any, space: Mapping[str, Any] | None = None) -> None:
        """Put what all jobs read into Ray's object store, from where each node fetches it once.

        Args:
            data: Has ``for_workers``.
            space: "name", "text" and "modules" of the space file, whose functions custom networks call.
        """
        self.pool.load(data, space)

    @property
    def workers(self) -> list[RayWorker]:
        """The workers, starting or started."""
        return self.pool.workers

    @property
    def slots(self) -> int:
        """Number of workers."""
        return len(self.pool.workers)

    @property
    def capacity(self) -> int:
        """Number of jobs that it accepts: of many workers, those that become free would wait for the driver otherwise.

        The driver commits results, makes proposals and writes files for all workers, one after the other.
        """
        return self.slots + self.slots // WORKERS_PER_SPARE_JOB

    @property
    def device(self) -> str:
        """Description of the devices that train; waits until a worker has started."""
        names = ", ".join(dict.fromkeys(info.device for info in self.pool.wait_for_one()))
        return f"{names}; {self.pool.options.workers} workers"

    def time_designs(self, designs: list[SampledDesign], expensive: bool) -> Speed:
        """Return the time model of training on all workers at once, measured once: the mean over the workers."""
        if self.speed is None:
            speeds = self.pool.time_designs(designs, expensive)
            seconds = float(np.mean([1 / speed.flops for speed in speeds]))
            floor, trial = (float(np.mean([getattr(speed, name) for speed in speeds])) for name in ("floor", "trial"))
            self.speed = type(speeds[0])(floor, 1 / seconds, trial)
        return self.speed

    def submit(self, job: Task) -> None:
        self.backlog.append(job.with_absolute_paths())

    def wait(self, listener: Listener) -> list[tuple[Task, Outcome]]:
        if self.stopping and self.backlog:
            dropped, self.backlog = list(self.backlog), deque()
            return [(task, Outcome("stopped")) for task in dropped]
        if self.pool.servers_died():
            return self._restart()
        self.pool.check_starts(0)
        self._hand_out()
        running = {worker.future: worker for worker in self.workers if worker.task is not None}
        if not running:
            self.pool.check_starts(POLL_SECONDS)
            return []
        ray.wait(list(running), num_returns=1, timeout=POLL_SECONDS)
        done, _ = ray.wait(list(running), num_returns=len(running), timeout=0)
        ended = [self._take_result(running[future], listener) for future in done]
        self._hand_out()  # before the driver deals with the results
        interval = max(NEWS_SECONDS, len(self.workers) / NEWS_PER_SECOND)
        for worker in self.workers:
            if worker.task is not None:
                worker.take_news(listener, interval)
        return ended

    def stop(self) -> None:
        self.stopping = True
        for worker in self.workers:
            if worker.task is not None:
                worker.stop()

    def predict(self, run: Path, trial_id: str, design: Design, resolution: int, rows: np.ndarray, wait: bool) -> None:
        """Store predictions on a worker that is idle or has just ended a trial; one at a time."""
        if self.prediction is not None:
            done, _ = ray.wait([self.prediction], timeout=None if wait else 0)
            if not done:
                return
            future, self.prediction = self.prediction, None
            ray.get(future)
        started = [worker for worker in self.workers if worker.info is not None]
        if not started:
            return
        worker = next((worker for worker in started if worker.idle), started[0])
        self.prediction = worker.predict(run.absolute(), trial_id, design, resolution, rows)
        if wait:
            future, self.prediction = self.prediction, None
            ray.get(future)

    def status(self) -> list[WorkerStatus]:
        return [worker.status() for worker in self.workers]

    def close(self) -> None:
        """Stop what still trains, end all workers and leave the cluster."""
        self.stop()
        futures = [worker.future for worker in self.workers if worker.task is not None]
        if futures:
            ray.wait(futures, num_returns=len(futures), timeout=STOP_SECONDS)
        for worker in self.workers:
            worker.kill()
        self.cluster.close()
        remove_leases(self.run)

    def _hand_out(self) -> None:
        """Give waiting jobs to workers that are idle."""
        for worker in self.workers:
            if self.backlog and worker.idle:
                worker.run(self.backlog.popleft(), self.run)

    def _take_result(self, worker: RayWorker, listener: Listener) -> tuple[Task, Outcome]:
        task = worker.task
        assert task is not None
        try:
            outcome = worker.result(listener)
        except ray.exceptions.RayTaskError as error:
            raise UserError(f"worker {worker.name} failed: {error.cause!r}", EXIT_RUN_FOLDER) from error
        if outcome is None:
            node = f" on {worker.info.node}" if worker.info else ""
            outcome = Outcome("lost", message=f"worker {worker.name}{node} died")
            self.pool.replace(worker)
        elif outcome.status == "stopped" and not self.stopping:
            outcome = Outcome("lost", message=f"worker {worker.name} was told to stop")  # by a signal of its own
            self.pool.replace(worker)
        elif worker.has_grown():
            self.pool.replace(worker)
        return task, outcome

    def _restart(self) -> list[tuple[Task, Outcome]]:
        """Start Ray and the workers again, unless the search is to stop; return the jobs that were lost."""
        outcome = Outcome("stopped") if self.stopping else Outcome("lost", message="Ray's servers died")
        lost = [(task, outcome) for task in self.pool.lose_all()]
        self.prediction = None
        if not self.stopping:
            self.pool.restart()
        return lost
