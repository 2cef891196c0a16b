"""What a search asks of whatever trains its trials."""

from __future__ import annotations

from typing import Protocol

from fer_search.runfolder.epochs import Row
from fer_search.search.executors.job import Job, Outcome
from fer_search.training.trial import Progress


class Listener(Protocol):
    """Is told what happens in running jobs, while ``Executor.wait`` is called."""

    def progress(self, number: int, progress: Progress) -> None:
        """Steps of a trial were trained."""

    def epoch(self, number: int, row: Row) -> None:
        """A trial's epoch was trained, validated and recorded."""


class Executor(Protocol):
    """Trains trials, at most ``slots`` at the same time."""

    slots: int

    def submit(self, job: Job) -> None:
        """Accept a job; at most ``slots`` are submitted and not yet returned by ``wait``."""

    def wait(self, listener: Listener) -> list[tuple[Job, Outcome]]:
        """Return the jobs that ended since the last call, after waiting for a moment or until one does."""

    def close(self) -> None:
        """Release everything; jobs that still run are stopped."""
