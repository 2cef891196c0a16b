"""live.json: what a search is doing now, for ``fer-search status``."""

from __future__ import annotations

import dataclasses
import os
import time
from typing import Any

from fer_search.search.display import events
from fer_search.search.executors.executor import Executor
from fer_search.search.state import SearchState
from fer_search.training.trial import Progress

INTERVAL = 2.0  # seconds between two writes


class Heartbeat:
    """Collects the progress of the running trials and writes it every few seconds.

    Args:
        state: The search.
        executor: Knows what its workers do.
    """

    def __init__(self, state: SearchState, executor: Executor) -> None:
        self.state, self.executor = state, executor
        self.trials: dict[int, tuple[events.TrialBegun, Progress]] = {}
        self.last = 0.0

    def begin(self, begun: events.TrialBegun, progress: Progress) -> None:
        self.trials[begun.number] = begun, progress
        self.write(force=self.executor.slots == 1)  # with many workers a trial may begin every few milliseconds

    def progress(self, number: int, progress: Progress) -> None:
        self.trials[number] = self.trials[number][0], progress
        self.write()

    def end(self, number: int) -> None:
        self.trials.pop(number, None)

    def write(self, force: bool = False) -> None:
        """Write live.json, if the last time is long enough ago: the trial begun first, and all workers."""
        if not self.trials or (not force and time.monotonic() - self.last < INTERVAL):
            return
        self.last = time.monotonic()
        begun, progress = self.trials[min(self.trials)]
        live: dict[str, Any] = {"pid": os.getpid(), "time": time.time(), "trials": self.state.budgets.trials}
        live |= {"trial": begun.number, "epochs": begun.epochs, "left": self.state.clock.left()}
        live |= {"seconds": self.state.seconds(), **dataclasses.asdict(progress)}
        if workers := self.executor.status():
            live["workers"] = [self._describe(dataclasses.asdict(worker)) for worker in workers]
        self.state.folder.write_live(live)

    def _describe(self, worker: dict[str, Any]) -> dict[str, Any]:
        if worker["trial"] not in self.trials:
            return worker
        begun, progress = self.trials[worker["trial"]]
        return worker | {"epoch": progress.epoch, "epochs": begun.epochs, "done": progress.done / progress.images}
