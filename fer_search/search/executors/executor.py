"""What a search asks of whatever trains its trials."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fer_search.design import Design
from fer_search.runfolder.epochs import Row
from fer_search.search.executors.outcome import Outcome, WorkerStatus
from fer_search.search.scheduling.estimate import SampledDesign
from fer_search.search.scheduling.speed import Speed
from fer_search.search.trials.signals import Stop
from fer_search.training.trial import Progress, Trial


class Task(Protocol):
    """A training that an executor runs; picklable."""

    @property
    def trial(self) -> Trial:
        """What is trained, and in which folder."""

    @property
    def trial_id(self) -> str:
        """Name of the trial, unique in its run."""

    def run(self, data: Any, stop: Stop, progress: Callable[[Progress], None], epoch: Callable[[Row], None]) -> Outcome:
        """Train from where the folder is to the end."""

    def with_absolute_paths(self) -> Task:
        """Return the task for a process with another working directory."""


class Listener(Protocol):
    """Is told what happens in running jobs, while ``Executor.wait`` is called."""

    def progress(self, number: int, progress: Progress) -> None:
        """Steps of a trial were trained."""

    def epoch(self, number: int, row: Row) -> None:
        """A trial's epoch was trained, validated and recorded."""


class Executor(Protocol):
    """Trains trials, at most ``slots`` at the same time.

    It accepts ``capacity`` jobs: with many slots a few more, so that one that becomes free has its next job at once.
    """

    notes: list[str]  # for the user; the reader empties it

    @property
    def slots(self) -> int:
        """Number of trials that train at the same time."""

    @property
    def capacity(self) -> int:
        """Number of jobs that it accepts at a time, at least ``slots``."""

    @property
    def device(self) -> str:
        """Description of the devices that train."""

    def time_designs(self, designs: list[SampledDesign], expensive: bool) -> Speed:
        """Return the time model of training one trial per slot at the same time; may raise ``Stopped``."""

    def submit(self, job: Task) -> None:
        """Accept a job; at most ``capacity`` are submitted and not yet returned by ``wait``."""

    def wait(self, listener: Listener) -> list[tuple[Task, Outcome]]:
        """Return the jobs that ended since the last call, after waiting for a moment or until one does."""

    def stop(self) -> None:
        """Ask all running jobs to stop; ``wait`` returns each with what it saved."""

    def predict(self, run: Path, trial_id: str, design: Design, resolution: int, rows: np.ndarray, wait: bool) -> None:
        """Store a trial's validation predictions (see ``store_predictions``): now with ``wait``, else soon or never."""

    def status(self) -> list[WorkerStatus]:
        """Return what each worker is doing; empty where there is one, this process."""

    def close(self) -> None:
        """Release everything; jobs that still run are killed."""
