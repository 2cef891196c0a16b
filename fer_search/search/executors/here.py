"""The executor of a search with one worker: trains in this process."""

from __future__ import annotations

from fer_search.search.executors.executor import Listener
from fer_search.search.executors.job import Job, Outcome, execute
from fer_search.search.trials.signals import Stop
from fer_search.training.trial import TrialData


class Here:
    """Trains one job at a time, inside ``wait``.

    Args:
        data: Training and validation images.
        stop: The search's; ends the running job.
    """

    slots = 1

    def __init__(self, data: TrialData, stop: Stop) -> None:
        self.data, self.stop = data, stop
        self.jobs: list[Job] = []

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def wait(self, listener: Listener) -> list[tuple[Job, Outcome]]:
        job = self.jobs.pop(0)
        number = job.trial.number
        outcome = execute(
            job,
            self.data,
            self.stop,
            progress=lambda progress: listener.progress(number, progress),
            epoch=lambda row: listener.epoch(number, row),
        )
        return [(job, outcome)]

    def close(self) -> None:
        """Nothing to release."""
