"""The remaining time, learned from the trials so far: their epochs, and how much trials differ."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat

import numpy as np

from fer_search.search.display.events import Range
from fer_search.search.scheduling.budget import TrialBudgets

CACHE_SECONDS = 1.0
LEAST_TRAINING = 0.2  # of a first epoch, whatever the estimate of the rest
SLOWER = 1.25  # seconds per epoch of the design that is trained last, which tends to be a large one, over the mean
INTERVAL_WIDTH = 1.3  # standard deviations: the interval covers about 80% of outcomes


@dataclass
class _Running:
    """A running trial; epochs are those of the tuner's budget.

    Args:
        done: Number of epochs trained in this and earlier starts.
        began: Time of this start, seconds.
        epochs: Number of epochs that it trains in all.
        scale: Number of its own epochs that take as long as an epoch of the budget.
        lengths: How long each epoch takes from ``done`` on, relative to the mean of the whole training.
        seconds: Seconds of each epoch of this start.
        fraction: Fraction of the current epoch that is done.
    """

    done: float
    began: float
    epochs: float
    scale: float = 1.0
    lengths: Sequence[float] = ()
    seconds: list[float] = field(default_factory=list)
    fraction: float = 0.0

    @property
    def even_seconds(self) -> list[float]:
        """Seconds of each epoch of this start, if all of the whole training took equally long."""
        lengths = chain(self.lengths, repeat(1.0))
        return [seconds / length for seconds, length in zip(self.seconds, lengths, strict=False)]

    @property
    def length_ahead(self) -> float:
        """Mean length of the epochs that are not done."""
        return float(np.mean(ahead)) if len(ahead := self.lengths[len(self.seconds) :]) else 1.0


class Clock:
    """Knows what is planned and observes what is done.

    Args:
        budgets: What the whole search trains.
        estimate: Seconds of the whole search as estimated before anything was trained, low and high.
        ended: Numbers of the trials that ended before this start.
        seconds: Seconds of each epoch trained before this start, per trial, if all epochs of a training took equally
            long; with --equal-time as long as an epoch of the budget.
        workers: Number of trials that train at the same time.
        estimated_overhead: Seconds of a trial besides its epochs, most of them for compilation in its first one.
        now: Monotonic clock, seconds.

    Attributes:
        deadline: Time of ``now`` at which the time budget ends; None for no limit.
    """

    def __init__(
        self,
        budgets: TrialBudgets,
        estimate: Range,
        ended: Collection[int] = (),
        seconds: list[list[float]] | None = None,
        workers: int = 1,
        estimated_overhead: float = 0.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budgets, self.estimate, self.workers, self.now = budgets, estimate, workers, now
        self.estimated_overhead = estimated_overhead
        self.ended = set(ended)
        self.trials = [trial for trial in seconds or [] if trial]
        self.running: dict[int, _Running] = {}
        self._cached: tuple[float, Range] | None = None
        self.overheads: list[float] = []  # seconds of a trial besides its epochs, and of compilation in its first one
        self.deadline: float | None = None

    def begin_trial(
        self,
        number: int,
        done: int,
        epochs: float = float("inf"),
        scale: float = 1.0,
        lengths: Sequence[float] = (),
    ) -> None:
        """A trial of so many epochs starts, or resumes after ``done`` of them; ``scale`` make one of the budget.

        ``lengths`` are those of its own epochs, see ``epoch_lengths``; all equal if not given.
        """
        self.running[number] = _Running(done / scale, self.now(), epochs / scale, scale, lengths[done:])

    def progress(self, number: int, fraction: float) -> None:
        """A fraction of a running trial's current epoch is done."""
        self.running[number].fraction = fraction / self.running[number].scale

    def end_epoch(self, number: int, seconds: float) -> None:
        trial = self.running[number]
        trial.seconds.append(seconds * trial.scale)
        trial.done, trial.fraction = trial.done + 1 / trial.scale, 0.0

    def end_trial(self, number: int, ended: bool = True) -> None:
        """A trial completed or failed; or, with ``ended`` False, its worker was lost."""
        trial = self.running.pop(number, None)
        if trial is not None and ended:
            outside = max(self.now() - trial.began - sum(trial.seconds) / trial.scale, 0.0)
            self.overheads.append(outside + self._compilation(trial.even_seconds))
        if trial is not None and trial.seconds:
            self.trials.append(trial.even_seconds)
        if ended:
            self.ended.add(number)

    def left(self) -> Range:
        """Return the seconds until all is trained or the time budget is used up, low and high."""
        if self.deadline is None:
            return self.work_left()
        most = max(self.deadline - self.now(), 0.0)
        if self.budgets.endless:
            return most, most
        low, high = self.work_left()
        return min(low, most), min(high, most)

    def work_left(self) -> Range:
        """Return the seconds that the rest takes, low and high; with several workers computed at most once a second."""
        if self.workers > 1 and self._cached is not None and self.now() - self._cached[0] < CACHE_SECONDS:
            return self._cached[1]
        self._cached = self.now(), self._work_left()
        return self._cached[1]

    def time_to_end(self) -> float:
        """Return the seconds until the first running trial ends, if it goes on as fast as in its last epoch.

        Infinite while no running trial has ended an epoch in this start.
        """
        known = (trial for trial in self.running.values() if trial.seconds)
        ends = (
            (trial.epochs - trial.done - trial.fraction) * trial.length_ahead * trial.even_seconds[-1]
            for trial in known
        )
        return min(ends, default=float("inf"))

    def epochs_left(self) -> float | None:
        """Return how many epochs a worker can train before the time budget ends; None if that is not known.

        They are as long as the mean epoch of a whole training.
        """
        rates = self._rates()
        if self.deadline is None or not rates:
            return None
        seconds = self.deadline - self.now() - self._overhead()
        return max(seconds / (SLOWER * float(np.mean(rates))), 0.0)

    def _work_left(self) -> Range:
        running = {number: self._epochs_left(number) for number in self.running}
        waiting = [
            epochs
            for number, epochs in enumerate(self.budgets.budgets)
            if number not in self.ended and number not in running
        ]
        epochs = sum(running.values()) + sum(waiting)
        rates = self._rates()
        if not rates:
            part = epochs / max(self.budgets.epochs, 1)
            return self.estimate[0] * part, self.estimate[1] * part
        return self._schedule(running, waiting, rates)

    def _epochs_left(self, number: int) -> float:
        budgets, trial = self.budgets.budgets, self.running[number]
        budget = budgets[number] if number < len(budgets) else 0
        return max(budget - trial.done - trial.fraction, 0.0) * trial.length_ahead

    def _schedule(self, running: Mapping[int, float], waiting: list[int], rates: list[float]) -> Range:
        """Return the end of a list schedule of all epochs on the workers, and its uncertainty."""
        mean, spread = float(np.mean(rates)), _spread(rates)
        overhead = self._overhead()
        known = {n: self._rate(trial.even_seconds) for n, trial in self.running.items() if trial.seconds}
        free_at = [epochs * known.get(number, mean) for number, epochs in running.items()][: self.workers]
        free_at += [0.0] * (self.workers - len(free_at))
        heapq.heapify(free_at)
        for epochs in waiting:
            heapq.heappush(free_at, heapq.heappop(free_at) + epochs * mean + overhead)
        middle = max(free_at)
        uncertain = sum(waiting) + sum(epochs for number, epochs in running.items() if number not in known)
        error = spread * np.sqrt(1 / max(len(waiting), 1) + 1 / len(rates)) * uncertain / self.workers
        return max(float(middle - INTERVAL_WIDTH * error), 0.7 * middle), float(middle + INTERVAL_WIDTH * error)

    def _overhead(self) -> float:
        """Return the seconds of a trial besides its epochs, compilation included."""
        return float(np.mean(self.overheads)) if self.overheads else self.estimated_overhead

    def _rates(self) -> list[float]:
        """Return the seconds per epoch of each trial that has trained one."""
        known = [*self.trials, *(trial.even_seconds for trial in self.running.values() if trial.seconds)]
        return [self._rate(seconds) for seconds in known]

    def _rate(self, seconds: list[float]) -> float:
        """Return a trial's seconds per epoch; the first, which includes compilation, counts only if it is alone."""
        if len(seconds) > 1:
            return float(np.mean(seconds[1:]))
        return max(seconds[0] - self.estimated_overhead, LEAST_TRAINING * seconds[0])

    def _compilation(self, seconds: list[float]) -> float:
        """Return by how much a trial's first epoch takes longer than the others."""
        return max(seconds[0] - self._rate(seconds), 0.0) if seconds else 0.0


def _spread(rates: list[float]) -> float:
    """Return the standard deviation between trials; a third of the mean if only one is known."""
    return float(np.std(rates, ddof=1)) if len(rates) > 1 else rates[0] / 3
