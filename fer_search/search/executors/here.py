"""The executor of a search with one worker: trains in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fer_search import backend
from fer_search.design import Design
from fer_search.search.executors.executor import Listener, Task
from fer_search.search.executors.outcome import Outcome, WorkerStatus
from fer_search.search.scheduling.estimate import SampledDesign, time_designs
from fer_search.search.scheduling.speed import Speed
from fer_search.search.trials.predictions import store_predictions
from fer_search.search.trials.signals import Stop


class Here:
    """Trains one job at a time, inside ``wait``.

    Args:
        data: What the jobs read: for a search its training and validation images.
        stop: The search's; ends the running job.
        devices: Number of devices that share each batch.
    """

    slots = capacity = 1

    def __init__(self, data: Any, stop: Stop, devices: int = 1) -> None:
        self.data, self.stop_token, self.devices = data, stop, devices
        self.jobs: list[Task] = []
        self.notes: list[str] = []
        self.speed: Speed | None = None  # measured once

    @property
    def device(self) -> str:
        return backend.device()

    def time_designs(self, designs: list[SampledDesign], expensive: bool) -> Speed:
        self.speed = self.speed or time_designs(designs, self.data, self.stop_token, self.devices, expensive)
        return self.speed

    def submit(self, job: Task) -> None:
        self.jobs.append(job)

    def wait(self, listener: Listener) -> list[tuple[Task, Outcome]]:
        if not self.jobs:
            return []
        job = self.jobs.pop(0)
        number = job.trial.number
        outcome = job.run(
            self.data,
            self.stop_token,
            progress=lambda progress: listener.progress(number, progress),
            epoch=lambda row: listener.epoch(number, row),
        )
        return [(job, outcome)]

    def stop(self) -> None:
        """Nothing runs outside of ``wait``."""

    def predict(self, run: Path, trial_id: str, design: Design, resolution: int, rows: np.ndarray, wait: bool) -> None:
        store_predictions(run, trial_id, design, resolution, self.data, rows)

    def status(self) -> list[WorkerStatus]:
        return []

    def close(self) -> None:
        """Nothing to release."""
