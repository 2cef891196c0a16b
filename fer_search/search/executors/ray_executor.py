"""The executor of a search with several workers: each is a Ray actor in a process of its own, here or on a cluster.

Ray transports, schedules and supervises; only the files ``ray_*.py`` import it. What a worker does is in ``worker``. A
worker that dies is replaced, and its trial returned as lost.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import ray

from fer_search import backend
from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.search.executors.lease import remove_leases
from fer_search.search.executors.outcome import Outcome, WorkerStatus
from fer_search.search.executors.ray_cluster import Cluster
from fer_search.search.executors.ray_servers import find_servers
from fer_search.search.executors.ray_worker import DEAD, RayWorker, WorkerOptions
from fer_search.search.executors.worker import Worker, WorkerInfo, describe_mismatch

if TYPE_CHECKING:
    from fer_search.design import Design
    from fer_search.search.executors.executor import Listener, Task
    from fer_search.search.scheduling.estimate import SampledDesign, Speed

POLL_SECONDS = 0.25  # longest wait for results before the driver looks at signals and news
NEWS_SECONDS = 1.0  # between two questions for a worker's progress, at least
NEWS_PER_SECOND = 16  # such questions to all workers, at most
START_SECONDS = 600.0  # that workers have to start
STOP_SECONDS = 120.0  # that workers have to save what they trained
MAX_FAILED_STARTS = 3  # of a worker, in a row
GONE_SECONDS = 30.0  # that the server of a cluster may take to start again, which who runs the cluster may arrange
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
        self.options, self.cluster, self.run, self.kind = options, cluster, run.absolute(), kind
        self.should_stop = should_stop
        self.slots = options.workers
        self.backlog: deque[Task] = deque()
        self.servers = find_servers(own=cluster.address is None)
        self.data: tuple[Any, Mapping[str, Any] | None] | None = None  # arguments of load
        self.loaded: tuple[Any, Any] | None = None  # references
        self.stopping = False
        self.speed: Speed | None = None
        self.prediction: Any = None  # future
        self.notes: list[str] = []
        self.environment = dict(options.environment().items() - cluster.environment.items())
        self.workers = self._make_workers()

    def load(self, data: Any, space: Mapping[str, Any] | None = None) -> None:
        """Put what all jobs read into Ray's object store, from where each node fetches it once.

        Args:
            data: Has ``for_workers``.
            space: "name", "text" and "modules" of the space file, whose functions custom networks call.
        """
        self.data = data, space
        self.loaded = ray.put(data.for_workers()), ray.put(None if space is None else dict(space))
        for worker in self.workers:
            worker.load(*self.loaded)

    @property
    def capacity(self) -> int:
        """Number of jobs that it accepts: of many workers, those that become free would wait for the driver otherwise.

        The driver commits results, makes proposals and writes files for all workers, one after the other.
        """
        return self.slots + self.slots // WORKERS_PER_SPARE_JOB

    @property
    def device(self) -> str:
        """Description of the devices that train; waits until a worker has started."""
        deadline = time.monotonic() + START_SECONDS
        while not (started := [worker.info for worker in self.workers if worker.info]):
            self._wait_for_start(deadline)
        names = ", ".join(dict.fromkeys(info.device for info in started))
        return f"{names}; {self.options.workers} workers"

    def wait_for_all(self) -> None:
        """Wait until all workers have started."""
        deadline = time.monotonic() + START_SECONDS
        while any(worker.starting is not None for worker in self.workers):
            self._wait_for_start(deadline)

    def time_designs(self, designs: list[SampledDesign], expensive: bool) -> Speed:
        """Return the time model of training on all workers at once, measured once: the mean over the workers."""
        if self.speed is None:
            self.wait_for_all()
            speeds: list[Speed] = ray.get([worker.time_designs(designs, expensive) for worker in self.workers])
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
        if self._servers_died():
            return self._restart()
        self.check_starts(0)
        self._hand_out()
        running = {worker.future: worker for worker in self.workers if worker.task is not None}
        if not running:
            self.check_starts(POLL_SECONDS)
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

    def check_starts(self, timeout: float) -> None:
        """Take in the workers that have started, after waiting for at most ``timeout`` seconds.

        Raises:
            UserError: One cannot be started, or none has the run's versions.
        """
        starting = {worker.starting: worker for worker in self.workers if worker.starting is not None}
        if not starting:
            time.sleep(timeout)
            return
        done, _ = ray.wait(list(starting), num_returns=len(starting) if not timeout else 1, timeout=timeout)
        for future in done:
            worker = starting[future]
            try:
                info: WorkerInfo = ray.get(future)
            except DEAD as error:
                if worker.failed_starts + 1 >= MAX_FAILED_STARTS:
                    raise UserError(f"worker {worker.name} died {MAX_FAILED_STARTS} times while starting") from error
                self._replace(worker, worker.failed_starts + 1)
                continue
            worker.info, worker.starting, worker.memory = info, None, info.memory
            self._check_versions(worker, info)

    def _wait_for_start(self, deadline: float) -> None:
        """Wait a moment for workers to start.

        Raises:
            Stopped: The search is to stop.
            UserError: The deadline is over.
        """
        from fer_search.training.trial import Stopped

        if self.should_stop():
            raise Stopped
        if self._servers_died():
            raise UserError("Ray's servers died while the workers started; re-run the same command")
        if time.monotonic() > deadline:
            missing = sum(worker.starting is not None for worker in self.workers)
            there = {name: int(amount) for name, amount in ray.cluster_resources().items() if name in ("CPU", "GPU")}
            raise UserError(
                f"{missing} of {len(self.workers)} workers have not started after {START_SECONDS / 60:.0f} minutes; "
                f"there are {there.get('CPU', 0)} CPUs and {there.get('GPU', 0)} GPUs: give fewer --workers"
            )
        self.check_starts(POLL_SECONDS)

    def _check_versions(self, worker: RayWorker, info: WorkerInfo) -> None:
        """Refuse a worker whose results could not be compared with those of the others."""
        if not (difference := describe_mismatch(backend.versions(), info, backend.start())):
            return
        self.notes.append(f"worker {worker.name} on {info.node} is not used: {difference}.")
        worker.kill()
        self.workers.remove(worker)
        self.slots = len(self.workers)
        if not self.workers:
            raise UserError(f"no worker can be used: on {info.node} {difference}; install the same versions there")

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
            self._replace(worker)
        elif outcome.status == "stopped" and not self.stopping:
            outcome = Outcome("lost", message=f"worker {worker.name} was told to stop")  # by a signal of its own
            self._replace(worker)
        elif worker.has_grown():
            self._replace(worker)
        return task, outcome

    def _servers_died(self) -> bool:
        """Whether the cluster that was started here must be started again.

        Raises:
            UserError: The cluster that was joined has ended.
        """
        seconds, address = self.servers.seconds_gone(), self.cluster.address
        if address is not None and seconds > GONE_SECONDS:
            raise UserError(
                f"--cluster {address}: the cluster has ended; nothing on disk is lost. Start it again and re-run the "
                "same command to resume",
                EXIT_RUN_FOLDER,
            )
        return address is None and seconds > 0

    def _restart(self) -> list[tuple[Task, Outcome]]:
        """Start Ray and the workers again, unless the search is to stop; return the jobs that were lost."""
        outcome = Outcome("stopped") if self.stopping else Outcome("lost", message="Ray's servers died")
        lost = [(worker.task, outcome) for worker in self.workers if worker.task is not None]
        self.workers, self.prediction = [], None
        if not self.stopping:
            self.cluster.restart()
            self.servers, self.loaded = find_servers(own=True), None
            self.workers = self._make_workers()
            if self.data is not None:
                self.load(*self.data)
            self.notes.append("Ray's servers died unexpectedly; Ray and the workers were started again.")
        return lost

    def _replace(self, worker: RayWorker, failed_starts: int = 0) -> None:
        worker.kill()
        self.workers[self.workers.index(worker)] = self._make_worker(worker.name, failed_starts)

    def _make_workers(self) -> list[RayWorker]:
        return [self._make_worker(str(number)) for number in range(self.options.workers)]

    def _make_worker(self, name: str, failed_starts: int = 0) -> RayWorker:
        return RayWorker(name, self.options, self.environment, self.kind, self.loaded, failed_starts)
