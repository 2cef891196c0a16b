"""Running the trainings of a confirmation on an executor: in this process or on workers."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fer_search.confirm.job import ConfirmData, ConfirmJob
from fer_search.confirm.progress import ConfirmProgress
from fer_search.confirm.settings import Settings
from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.runfolder.epochs import Row
from fer_search.search.executors.executor import Executor
from fer_search.search.executors.here import Here
from fer_search.search.executors.open import open_workers
from fer_search.search.executors.outcome import Outcome
from fer_search.search.trials.signals import Stop
from fer_search.training.trial import Progress

FIRST_TRIAL_NUMBER = 1_000_000  # beyond any search, so that the trainings have random numbers of their own


class ConfirmListener:
    """Shows what happens in the running trainings.

    Args:
        progress: Shows progress.
        several: Whether several train at the same time, so that each line says which.
    """

    def __init__(self, progress: ConfirmProgress, several: bool) -> None:
        self.shown, self.several = progress, several
        self.titles: dict[int, str] = {}

    def begin(self, number: int, title: str) -> None:
        self.titles[FIRST_TRIAL_NUMBER + number] = title
        self.shown.begin(title)

    def progress(self, number: int, progress: Progress) -> None:
        self.shown.title = self.titles[number]
        self.shown.steps(number - FIRST_TRIAL_NUMBER, progress)

    def epoch(self, number: int, row: Row) -> None:
        training = number - FIRST_TRIAL_NUMBER
        self.shown.epoch(training, row, f"training {training + 1}, " if self.several else "")


@contextlib.contextmanager
def open_confirm_executor(
    settings: Settings, data: ConfirmData, space: Mapping[str, Any], stop: Stop
) -> Iterator[Executor]:
    """Give the executor that the settings ask for; closes it at the end."""
    executor: Executor = Here(data, stop)
    if not settings.workers.local:
        arrays = (data.training.images, data.test.images)
        images = sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
        given = dataclasses.replace(data, space=space)
        # A search's workers execute its space at once; here the jobs do that need it.
        executor = open_workers(settings.workers, given, images, None, settings.run, stop)
    try:
        yield executor
    finally:
        executor.close()


def run_trainings(
    waiting: Sequence[int],
    begin: Callable[[int], ConfirmJob],
    end: Callable[[int, Outcome], None],
    executor: Executor,
    stop: Stop,
    listener: ConfirmListener,
) -> bool:
    """Run trainings, as many at the same time as the executor has slots; return whether they were stopped.

    Args:
        waiting: Numbers of the trainings to run.
        begin: Announces a training and returns its job.
        end: Records a result.
        executor: Trains.
        stop: Whether the process was told to stop.
        listener: Is told what happens meanwhile.

    Raises:
        UserError: The disk is full or fails, or a file is damaged (exit code 4).
    """
    running: set[int] = set()
    queue, stopped = deque(waiting), False
    while running or (queue and not stop()):
        while queue and len(running) < executor.slots and not stop():
            number = queue.popleft()
            running.add(number)
            executor.submit(begin(number))
        if stop() and not stopped:
            stopped = True
            executor.stop()
        for job, outcome in executor.wait(listener):
            number = job.trial.number - FIRST_TRIAL_NUMBER
            running.remove(number)
            if outcome.status == "disk_full":
                raise UserError(outcome.message, EXIT_RUN_FOLDER)
            if outcome.status == "lost":
                listener.shown.say(f"training {number + 1}: {outcome.message}; it resumes from its last checkpoint.")
                queue.appendleft(number)
            elif outcome.status == "stopped":
                stopped = True
            else:
                end(number, outcome)
    return stopped or bool(queue)
