"""Choosing and opening the executor of a search."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fer_search.backend import cores
from fer_search.runfolder.folder import RunFolder
from fer_search.search.display.formatting import format_duration
from fer_search.search.executors.executor import Executor
from fer_search.search.executors.here import Here
from fer_search.search.executors.ray_cluster import is_installed, prepare_environment
from fer_search.search.executors.request import WorkerRequest
from fer_search.search.scheduling.estimate import estimate_search
from fer_search.search.settings import Settings
from fer_search.search.trials.crash_guard import CrashMarker
from fer_search.search.trials.signals import Stop
from fer_search.space import Space
from fer_search.training.trial import TrialData

WORKER_BYTES = 1.2e9  # resident memory of a worker with TensorFlow and a small network
MIN_SECONDS = 120.0  # estimated run time below which starting workers does not pay
MIN_GAIN = 0.05  # of the run time that several workers must save to be chosen


@contextlib.contextmanager
def open_executor(
    settings: Settings, space: Space, data: TrialData, run: Path, stop: Stop, say: Callable[[str], None]
) -> Iterator[Executor]:
    """Give the executor that the settings ask for; closes it at the end.

    Args:
        settings: Options of the run: ``workers``, ``cluster``, ``gpus_per_trial``, ``devices``.
        space: Design space, from which designs are timed for ``--workers auto``.
        data: Training and validation images.
        run: Run folder.
        stop: Ends a job that trains in this process.
        say: Prints a line.

    Raises:
        UserError: Ray is needed and not installed, or no worker can be started.
    """
    executor = _choose(settings, space, data, run, stop, say)
    try:
        yield executor
    finally:
        executor.close()


def _choose(
    settings: Settings, space: Space, data: TrialData, run: Path, stop: Stop, say: Callable[[str], None]
) -> Executor:
    here = Here(data, stop, settings.devices)
    source = {"name": space.name, "text": space.text, "modules": space.modules}
    request = settings.worker_request
    if request.workers is None and request.cluster is None:
        return _choose_by_measuring(settings, space, source, data, run, here, say)
    return here if request.local else open_workers(request, data, _bytes(data), source, run, here.stop_token)


def _choose_by_measuring(
    settings: Settings,
    space: Space,
    source: Mapping[str, Any],
    data: TrialData,
    run: Path,
    here: Here,
    say: Callable[[str], None],
) -> Executor:
    """Return one worker on all cores, or one per core, whichever is faster for the designs of the space."""
    info = RunFolder(run).read_run_json() if run.exists() else None
    if info is not None:  # a resumed run keeps what its first start chose
        workers = int(info.get("workers", 1))
        request = dataclasses.replace(settings.worker_request, workers=workers)
        return here if workers == 1 else open_workers(request, data, _bytes(data), source, run, here.stop_token)
    workers = min(cores(), int(_free_memory() / WORKER_BYTES))
    if workers < 2 or not is_installed():
        why = "this machine has one core, or too little memory" if is_installed() else "Ray is not installed"
        say(f"--workers auto: 1, since {why}.")
        return here
    marker = CrashMarker(run)
    run.mkdir(parents=True, exist_ok=True)
    expensive = marker.set() == 0
    try:
        one = sum(estimate_search(settings, space, data, here.time_designs, expensive)) / 2
        if one < MIN_SECONDS:
            say(f"--workers auto: 1, since {format_duration(one)} of training do not repay starting more.")
            return here
        request = dataclasses.replace(settings.worker_request, workers=workers)
        several = open_workers(request, data, _bytes(data), source, run, here.stop_token)
        many = sum(estimate_search(settings, space, data, several.time_designs, expensive)) / 2 / workers
    finally:
        marker.clear()
    chosen = workers if many < (1 - MIN_GAIN) * one else 1
    say(
        f"--workers auto: {chosen}; measured for these designs: 1 worker on {cores()} cores {format_duration(one)}, "
        f"{workers} workers on 1 core each {format_duration(many)}."
    )
    if chosen == 1:
        several.close()
        return here
    return several


def open_workers(
    request: WorkerRequest, data: Any, data_bytes: int, space: Mapping[str, Any] | None, run: Path, stop: Stop
) -> Executor:
    """Start Ray workers; imports Ray. See ``fer_search.search.executors.ray_start.open_ray``.

    Raises:
        UserError: Ray is not installed, or no worker can be started.
    """
    prepare_environment(request.cluster)
    from fer_search.search.executors.ray_start import open_ray

    return open_ray(request, data, data_bytes, space, run, cores(), stop)


def _bytes(data: TrialData) -> int:
    """Return the size of what goes through Ray's object store; a memory-mapped cache is opened by each worker."""
    arrays = (data.images, data.labels, data.val_images, data.val_labels)
    return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))


def _free_memory() -> float:
    """Return the memory that can be used without swapping, in bytes; infinity where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * float(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return float("inf")
