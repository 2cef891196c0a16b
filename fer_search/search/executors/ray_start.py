"""Starting the executor of a search with several workers, and the Ray cluster that they live in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

from fer_search import backend
from fer_search.errors import UserError
from fer_search.search.executors.ray_cluster import Cluster
from fer_search.search.executors.ray_executor import RayExecutor
from fer_search.search.executors.ray_worker import WorkerOptions

if TYPE_CHECKING:
    from fer_search.search.executors.request import WorkerRequest


def open_ray(
    request: WorkerRequest,
    data: Any,
    data_bytes: int,
    space: Mapping[str, Any] | None,
    run: Path,
    cores: int,
    should_stop: Callable[[], bool],
) -> RayExecutor:
    """Start workers.

    Args:
        request: How many, and where.
        data: What all jobs read; has ``for_workers``.
        data_bytes: Its size.
        space: "name", "text" and "modules" of the space file, whose functions custom networks call; None for none.
        run: Run folder.
        cores: CPU cores of this machine that may be used.
        should_stop: Whether the search is to stop.

    Raises:
        UserError: The cluster cannot be joined, or has too few GPUs.
    """
    workers = request.workers or 1
    on_cpu = WorkerOptions(workers, max(cores // workers, 1))
    cluster = Cluster(request.cluster, workers, data_bytes, None if backend.gpu_count() else on_cpu.environment())
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    gpus = int(resources.get("GPU", 0))
    if request.cluster is not None:
        cores = int(resources.get("CPU", workers))
    share = request.gpus_per_trial
    if share is None:
        share = 0.0 if not gpus else 1.0 if workers <= gpus else gpus / workers
    if share * workers > gpus + 1e-6:
        cluster.close()
        raise UserError(
            f"--workers {workers} with --gpus-per-trial {share:g} needs {share * workers:g} GPUs; there are {gpus}"
        )
    executor = RayExecutor(WorkerOptions(workers, max(cores // workers, 1), share), cluster, run, should_stop)
    executor.load(data, space)
    return executor
