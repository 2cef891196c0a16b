"""A Ray actor that trains, as the driver sees it: its futures, what it does, and what it said last."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

from fer_search import backend
from fer_search.search.executors.lease import grant_lease
from fer_search.search.executors.outcome import Outcome, WorkerStatus
from fer_search.search.executors.worker import News, Worker, WorkerInfo

if TYPE_CHECKING:
    from fer_search.search.executors.executor import Listener, Task

MAX_MEMORY_GROWTH = 2 * 2**30  # bytes, after which a worker is replaced when its trial has ended
DEAD = (ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError, ray.exceptions.ObjectLostError)


@dataclass(frozen=True)
class WorkerOptions:
    """How workers are started.

    Args:
        workers: Number of workers.
        threads: CPU threads of each.
        gpus: GPUs of each, may be a fraction; 0 to train on the CPU.
    """

    workers: int
    threads: int
    gpus: float = 0.0

    def environment(self) -> dict[str, str]:
        """Return the environment variables that must be set before the backend starts."""
        threads = str(self.threads)
        limits = {"TF_NUM_INTRAOP_THREADS": threads, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        kept = {n: v for n, v in os.environ.items() if n in ("KERAS_BACKEND", "FER_SEARCH_CACHE", "PYTHONPATH")}
        if not self.gpus:
            return limits | kept | {"CUDA_VISIBLE_DEVICES": ""}
        share = min(self.gpus, 1.0)
        jax_share = {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.9 * share:.4f}"}
        return limits | kept | jax_share | ({backend.GPU_SHARE: f"{share:.4f}"} if share < 1 else {})


class RayWorker:
    """A worker, from the start of its process to its end.

    Args:
        name: "0", "1", ...
        options: How it is started.
        environment: Variables that it does not inherit from the cluster.
        kind: Class of the worker.
        loaded: Arguments of ``load``; None if that is called later.
        failed_starts: How often in a row the worker in this place died while starting.
    """

    def __init__(
        self,
        name: str,
        options: WorkerOptions,
        environment: dict[str, str],
        kind: type[Worker],
        loaded: tuple[Any, Any] | None,
        failed_starts: int = 0,
    ) -> None:
        self.name, self.failed_starts = name, failed_starts
        actor_class: Any = ray.remote(concurrency_groups={"train": 1, "control": 1})(kind)  # type: ignore[call-overload]
        self.actor = actor_class.options(
            num_cpus=1,
            num_gpus=options.gpus,
            max_restarts=0,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": environment} if environment else None,
        ).remote()
        self.starting = self._call("start")  # future; None once it has started
        self.info: WorkerInfo | None = None
        self.task: Task | None = None
        self.future: Any = None  # of the task
        self.asked: Any = None  # future of its news
        self.asked_at = 0.0
        self.memory = 0
        self.speed: float | None = None
        self.seen: tuple[float, int, int] | None = None  # time, epoch and images of its last progress
        if loaded is not None:
            self.load(*loaded)

    @property
    def idle(self) -> bool:
        """Whether it has started and trains nothing."""
        return self.info is not None and self.task is None

    def load(self, data: Any, space: Any) -> None:
        """Give it references of what all jobs read, and of the source of the space file."""
        self._call("load", data, space)

    def time_designs(self, *arguments: Any) -> Any:
        """Return the future of ``Worker.time_designs``."""
        return self._call("time_designs", *arguments)

    def predict(self, *arguments: Any) -> Any:
        """Return the future of ``Worker.predict``."""
        return self._call("predict", *arguments)

    def run(self, task: Task, run: Path) -> None:
        """Hand out a task, with a new lease."""
        token = grant_lease(run, task.trial_id)
        self.task, self.seen, self.speed, self.asked_at = task, None, None, time.monotonic()
        self.future = self._call("run", task, run, token)

    def stop(self) -> None:
        """Ask it to stop its task."""
        self.actor.stop.options(concurrency_group="control").remote()

    def kill(self) -> None:
        """End its process."""
        ray.kill(self.actor, no_restart=True)

    def result(self, listener: Listener) -> Outcome | None:
        """Return how its task ended; None if the worker died.

        Raises:
            ray.exceptions.RayTaskError: The worker itself failed.
        """
        try:
            answer: tuple[Outcome, News] = ray.get(self.future)
            outcome, news = answer
            self._take_answer(listener, timeout=None)
            self._tell(news, listener)
        except DEAD:
            return None
        self.task, self.future = None, None
        return outcome

    def take_news(self, listener: Listener, interval: float) -> None:
        """Ask for its progress every ``interval`` seconds, and pass on what it answered; never waits for it."""
        if self.asked is not None:
            self._take_answer(listener, timeout=0)
        elif time.monotonic() - self.asked_at >= interval:
            self.asked = self.actor.news.options(concurrency_group="control").remote()
            self.asked_at = time.monotonic()

    def has_grown(self) -> bool:
        """Whether it takes so much more memory than at its start that it should be replaced."""
        return self.info is not None and self.memory > self.info.memory + MAX_MEMORY_GROWTH

    def status(self) -> WorkerStatus:
        """Return what it is doing."""
        node, device = (self.info.node, self.info.device) if self.info else ("", "starting")
        return WorkerStatus(
            self.name, node, device, self.task.trial.number if self.task else None, self.speed, self.memory or None
        )

    def _call(self, method: str, *arguments: Any) -> Any:
        """Call a method in the thread in which everything is trained; return its future."""
        return getattr(self.actor, method).options(concurrency_group="train").remote(*arguments)

    def _take_answer(self, listener: Listener, timeout: float | None) -> None:
        if self.asked is None:
            return
        done, _ = ray.wait([self.asked], timeout=timeout)
        if done:
            future, self.asked = self.asked, None
            try:
                self._tell(ray.get(future), listener)
            except DEAD:
                return  # the future of its task says so too

    def _tell(self, news: News, listener: Listener) -> None:
        assert self.task is not None
        number = self.task.trial.number
        self.memory = news.memory
        for row in news.rows:
            listener.epoch(number, row)
        if (progress := news.progress) is None:
            return
        now = time.monotonic()
        if self.seen and self.seen[1] == progress.epoch and progress.done > self.seen[2]:
            self.speed = (progress.done - self.seen[2]) / max(now - self.seen[0], 1e-9)
        self.seen = now, progress.epoch, progress.done
        listener.progress(number, progress)
