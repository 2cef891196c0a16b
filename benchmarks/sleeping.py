"""Fake training runs that only sleep, on workers without a backend, for benchmarks of the driver."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_search import backend
from fer_search.runfolder.epochs import METRIC_COLUMNS
from fer_search.search.executors.outcome import Outcome
from fer_search.search.executors.worker import Worker, WorkerInfo

SHORTEST, LONGEST = 0.05, 2.0  # seconds of a training run
SPREADS = {"uniform": 1.0, "log-uniform": 0.5}  # distribution of the durations -> mean in seconds, rounded


@dataclass(frozen=True)
class Number:
    """The number of a trial."""

    number: int


@dataclass(frozen=True)
class Sleep:
    """A training run that only sleeps."""

    trial: Number
    seconds: float

    @property
    def trial_id(self) -> str:
        return f"{self.trial.number:04d}"

    def run(self, data: Any, stop: Any, progress: Any = None, epoch: Any = None) -> Outcome:
        time.sleep(self.seconds)
        value = np.random.default_rng(self.trial.number).random()
        return Outcome("completed", [dict.fromkeys(METRIC_COLUMNS, value) | {"epoch": 1, "seconds": self.seconds}])


class IdleWorker(Worker):
    """A worker that starts no backend, and whose jobs read no data."""

    def __init__(self) -> None:
        super().__init__()
        self.data = ()

    def start(self) -> WorkerInfo:
        return WorkerInfo(socket.gethostname(), os.getpid(), "none", "tensorflow", backend.versions(), False, 0)


def seconds_of(number: int, spread: str) -> float:
    """Return the duration of a fake training run, determined by its number; ``spread`` is one of SPREADS."""
    rng = np.random.default_rng([7, number])
    if spread == "uniform":
        return float(rng.uniform(SHORTEST, LONGEST))
    return float(np.exp(rng.uniform(np.log(SHORTEST), np.log(LONGEST))))


class Silent:
    """Ignores all events."""

    def progress(self, number: int, progress: Any) -> None:
        """Ignored."""

    def epoch(self, number: int, row: Any) -> None:
        """Ignored."""
