"""The worker processes of an executor: starting them, replacing those that died, and starting Ray again if it died."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import ray

from fer_search import backend
from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.search.executors.ray_cluster import Cluster
from fer_search.search.executors.ray_servers import find_servers
from fer_search.search.executors.ray_worker import DEAD, RayWorker, WorkerOptions
from fer_search.search.executors.worker import Worker, WorkerInfo, describe_mismatch

if TYPE_CHECKING:
    from fer_search.search.executors.executor import Task
    from fer_search.search.scheduling.estimate import SampledDesign
    from fer_search.search.scheduling.speed import Speed

POLL_SECONDS = 0.25  # longest wait for a worker before the driver looks at signals
START_SECONDS = 600.0  # that workers have to start
MAX_FAILED_STARTS = 3  # of a worker, in a row
GONE_SECONDS = 30.0  # that the server of a cluster may take to start again, which who runs the cluster may arrange


class WorkerPool:
    """Workers on a Ray cluster.

    Args:
        options: How workers are started.
        cluster: Where they live.
        should_stop: Whether the search is to stop; asked while workers start.
        kind: Class of the workers.
    """

    def __init__(
        self, options: WorkerOptions, cluster: Cluster, should_stop: Callable[[], bool], kind: type[Worker]
    ) -> None:
        self.options, self.cluster, self.should_stop, self.kind = options, cluster, should_stop, kind
        self.servers = find_servers(own=cluster.address is None)
        self.data: tuple[Any, Mapping[str, Any] | None] | None = None  # arguments of load
        self.loaded: tuple[Any, Any] | None = None  # references
        self.notes: list[str] = []  # for the user
        self.environment = dict(options.environment().items() - cluster.environment.items())
        self.workers = self._make_workers()

    def load(self, data: Any, space: Mapping[str, Any] | None = None) -> None:
        """See ``RayExecutor.load``."""
        self.data = data, space
        self.loaded = ray.put(data.for_workers()), ray.put(None if space is None else dict(space))
        for worker in self.workers:
            worker.load(*self.loaded)

    def wait_for_one(self) -> list[WorkerInfo]:
        """Wait until a worker has started; return what is known of those that have."""
        deadline = time.monotonic() + START_SECONDS
        while not (started := [worker.info for worker in self.workers if worker.info]):
            self._wait_for_start(deadline)
        return started

    def wait_for_all(self) -> None:
        """Wait until all workers have started."""
        deadline = time.monotonic() + START_SECONDS
        while any(worker.starting is not None for worker in self.workers):
            self._wait_for_start(deadline)

    def time_designs(self, designs: list[SampledDesign], expensive: bool) -> list[Speed]:
        """Return the time model of each worker, measured on all at once.

        If a worker dies, only the small design is timed again: the large one may need too much memory.

        Raises:
            UserError: Workers died then too.
        """
        for _ in range(MAX_FAILED_STARTS):
            self.wait_for_all()
            timed = [(worker, worker.time_designs(designs, expensive)) for worker in self.workers]
            speeds, dead = [], []
            for worker, future in timed:
                try:
                    speeds.append(ray.get(future))
                except DEAD:
                    dead.append(worker)
            if not dead:
                return speeds
            expensive = False
            for worker in dead:
                self.replace(worker)
        raise UserError(
            f"workers died {MAX_FAILED_STARTS} times while designs were timed (killed by the system: out of memory?); "
            "give fewer --workers"
        )

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
                self.replace(worker, worker.failed_starts + 1)
                continue
            worker.info, worker.starting, worker.memory = info, None, info.memory
            self._check_versions(worker, info)

    def servers_died(self) -> bool:
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

    def restart(self) -> None:
        """Start Ray and the workers again."""
        self.cluster.restart()
        self.servers, self.loaded = find_servers(own=True), None
        self.workers = self._make_workers()
        if self.data is not None:
            self.load(*self.data)
        self.notes.append("Ray's servers died unexpectedly; Ray and the workers were started again.")

    def lose_all(self) -> list[Task]:
        """Give up all workers; return what they trained."""
        lost, self.workers = [worker.task for worker in self.workers if worker.task is not None], []
        return lost

    def replace(self, worker: RayWorker, failed_starts: int = 0) -> None:
        """End a worker and start another in its place."""
        worker.kill()
        self.workers[self.workers.index(worker)] = self._make_worker(worker.name, failed_starts)

    def _wait_for_start(self, deadline: float) -> None:
        """Wait a moment for workers to start.

        Raises:
            Stopped: The search is to stop.
            UserError: The deadline is over.
        """
        from fer_search.training.trial import Stopped

        if self.should_stop():
            raise Stopped
        if time.monotonic() > deadline:
            missing = sum(worker.starting is not None for worker in self.workers)
            there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
            raise UserError(
                f"{missing} of {len(self.workers)} workers have not started after {START_SECONDS / 60:.0f} minutes; "
                f"there are {there.get('CPU', 0):.0f} CPUs and {there.get('GPU', 0):.0f} GPUs: give fewer --workers"
            )
        if self.servers_died():
            self.restart()
        self.check_starts(POLL_SECONDS)

    def _check_versions(self, worker: RayWorker, info: WorkerInfo) -> None:
        """Refuse a worker whose results could not be compared with those of the others."""
        if not (difference := describe_mismatch(backend.versions(), info, backend.start())):
            return
        self.notes.append(f"worker {worker.name} on {info.node} is not used: {difference}.")
        worker.kill()
        self.workers.remove(worker)
        if not self.workers:
            raise UserError(f"no worker can be used: on {info.node} {difference}; install the same versions there")

    def _make_workers(self) -> list[RayWorker]:
        return [self._make_worker(str(number)) for number in range(self.options.workers)]

    def _make_worker(self, name: str, failed_starts: int = 0) -> RayWorker:
        return RayWorker(name, self.options, self.environment, self.kind, self.loaded, failed_starts)
