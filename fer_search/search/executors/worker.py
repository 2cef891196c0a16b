"""A worker process: trains one trial after the other for a driver elsewhere.

Imports neither Keras nor a backend by itself: ``start`` does, in the thread in which everything else is trained too,
since Keras keeps state per thread. The process ends itself as soon as its parent has died, with which its driver died.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from fer_search.design import Design
    from fer_search.runfolder.epochs import Row
    from fer_search.search.executors.job import Job
    from fer_search.search.executors.outcome import Outcome
    from fer_search.search.scheduling.estimate import SampledDesign
    from fer_search.search.scheduling.speed import Speed
    from fer_search.training.trial import Progress

PARENT_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class WorkerInfo:
    """A worker that has started.

    Args:
        node: Host name.
        pid: Process id.
        device: What it computes on.
        backend: Keras backend.
        versions: Package -> version, of what decides what a run computes.
        bfloat16: Whether precision "auto" means bfloat16 there.
        memory: Resident memory in bytes.
    """

    node: str
    pid: int
    device: str
    backend: str
    versions: dict[str, str]
    bfloat16: bool
    memory: int


@dataclass
class News:
    """What happened in a worker since it was last asked.

    Args:
        rows: Epochs that ended.
        progress: The last progress; None if there was none since.
        memory: Resident memory in bytes.
    """

    rows: list[Row] = field(default_factory=list)
    progress: Progress | None = None
    memory: int = 0


class Worker:
    """Lives in a process of its own; ``news`` and ``stop`` may be called while ``run`` trains, from another thread."""

    def __init__(self) -> None:
        from fer_search.search.trials.signals import Stop

        self.stopping = Stop()
        self.events: deque[Row | Progress] = deque()
        self.data: Any = None
        self.space: dict[str, Any] | None = None
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda signum, frame: self.stop())
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the driver, which asks
        threading.Thread(target=_exit_with_parent, args=(os.getppid(),), daemon=True).start()

    def start(self) -> WorkerInfo:
        """Import the backend; return what the driver must know."""
        from fer_search import backend
        from fer_search.fast_imports import UNUSED_BY_WORKERS

        name = backend.start(UNUSED_BY_WORKERS)
        device, faster = backend.device(), backend.gains_from_bfloat16()
        return WorkerInfo(socket.gethostname(), os.getpid(), device, name, backend.versions(), faster, _memory())

    def load(self, data: Any, space: dict[str, Any] | None) -> None:
        """Take what all jobs read, and the source of the space file, whose functions custom networks call."""
        self.data, self.space = data, space

    def run(self, job: Job, run: Path, token: str) -> tuple[Outcome, News]:
        """Train a job; return how it ended, and the news that the driver has not asked for.

        Args:
            job: What to train; its paths are absolute.
            run: Run folder.
            token: Lease of the trial.
        """
        from fer_search.search.executors.lease import LeaseLost, StillHeld, hold_trial
        from fer_search.search.executors.outcome import Outcome

        assert self.data is not None
        self._load_functions(job.trial.design)
        self.events.clear()
        try:
            with hold_trial(run, job.trial_id, token, self.stopping):
                outcome = job.run(self.data, self.stopping, self.events.append, self.events.append)
        except LeaseLost as error:
            outcome = Outcome("lost", message=str(error))
        except StillHeld as error:
            outcome = Outcome("stopped" if self.stopping() else "lost", message=str(error))
        self.stopping.on_signal = lambda: None
        return outcome, self.news()

    def news(self) -> News:
        """Return what happened since the last call."""
        news = News(memory=_memory())
        while self.events:
            event = self.events.popleft()
            if isinstance(event, dict):
                news.rows.append(event)
                news.progress = None
            else:
                news.progress = event
        return news

    def stop(self) -> None:
        """Stop the running job after its current step."""
        self.stopping.signum = signal.SIGTERM
        with contextlib.suppress(Exception):  # such as a lost lease: another worker's crash marker must stay
            self.stopping.on_signal()

    def time_designs(self, designs: list[SampledDesign], expensive: bool) -> Speed:
        """Return the time model of training here; see ``fer_search.search.scheduling.estimate``."""
        from fer_search.search.scheduling.estimate import time_designs

        assert self.data is not None
        for sampled in designs:
            self._load_functions(sampled.design)
        return time_designs(designs, self.data, self.stopping, expensive=expensive)

    def predict(self, run: Path, trial_id: str, design: Design, resolution: int, rows: np.ndarray) -> None:
        """Store a trial's validation predictions."""
        from fer_search.search.trials.predictions import store_predictions

        assert self.data is not None
        self._load_functions(design)
        store_predictions(run, trial_id, design, resolution, self.data, rows)

    def _load_functions(self, design: Design) -> None:
        """Execute the space file before the first design whose network is one of its functions."""
        from fer_search.design import Custom

        if self.space is not None and isinstance(design.network, Custom):
            from fer_search.space import load_functions

            load_functions(self.space)
            self.space = None


def _exit_with_parent(parent: int) -> None:
    """End the process once its parent has died; what is lost is what any kill loses."""
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_SECONDS)
    os._exit(1)


def _memory() -> int:
    """Return the resident memory of this process in bytes; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * int(os.sysconf("SC_PAGE_SIZE"))


def describe_mismatch(own: dict[str, Any], worker: WorkerInfo, backend: str) -> str:
    """Return in what a worker differs from the driver, as a sentence; "" if results can be compared.

    Args:
        own: Versions of the driver.
        worker: The worker.
        backend: Keras backend of the run.
    """
    if worker.backend != backend:
        return f"it uses the {worker.backend} backend, this run {backend}"
    decisive = ("fer-search", "keras", "numpy", backend)
    different = [name for name in decisive if own.get(name) != worker.versions.get(name)]
    return ", ".join(f"it has {name} {worker.versions.get(name)}, this run {own.get(name)}" for name in different)
