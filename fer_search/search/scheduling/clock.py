"""The remaining time, learned from the trials so far: their epochs, and how much trials differ."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from fer_search.search.display.events import Range
from fer_search.search.scheduling.budget import TrialBudgets

INTERVAL_WIDTH = 1.3  # standard deviations: the interval covers about 80% of outcomes


class Clock:
    """Knows what is planned and observes what is done.

    Args:
        budgets: What the whole search trains.
        estimate: Seconds of the whole search as estimated before anything was trained, low and high.
        ended: Number of trials that ended before this start.
        seconds: Seconds of each epoch trained before this start, per trial.
        now: Monotonic clock, seconds.
    """

    def __init__(
        self,
        budgets: TrialBudgets,
        estimate: Range,
        ended: int = 0,
        seconds: list[list[float]] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budgets, self.estimate, self.ended, self.now = budgets, estimate, ended, now
        self.trials = [trial for trial in seconds or [] if trial]
        self.current: list[float] = []
        self.done = 0  # epochs of the running trial
        self.overheads: list[float] = []  # seconds of a trial besides its epochs
        self._began = now()

    def begin_trial(self, done: int) -> None:
        """A trial starts, or resumes after ``done`` of its epochs."""
        self.current, self.done, self._began = [], done, self.now()

    def end_epoch(self, seconds: float) -> None:
        self.current.append(seconds)
        self.done += 1

    def end_trial(self) -> None:
        self.overheads.append(max(self.now() - self._began - sum(self.current), 0.0))
        if self.current:
            self.trials.append(self.current)
        self.current, self.done = [], 0
        self.ended += 1

    def left(self, fraction: float = 0.0) -> Range:
        """Return the seconds left, low and high; ``fraction`` of the running epoch is done."""
        budgets = self.budgets.budgets[self.ended :]
        epochs = max(sum(budgets) - self.done - fraction, 0.0)
        rates = [float(np.mean(trial)) for trial in self.trials]
        if self.current:
            rates.append(float(np.mean(self.current)))
        if not rates:
            part = epochs / max(self.budgets.epochs, 1)
            return self.estimate[0] * part, self.estimate[1] * part
        mine = max(min(epochs, (budgets[0] if budgets else 0) - self.done - fraction), 0.0) if self.current else 0.0
        certain = mine * (rates[-1] if self.current else 0.0)
        others, trials = epochs - mine, max(len(budgets) - 1, 0)
        mean, spread = float(np.mean(rates)), _spread(rates)
        error = spread * np.sqrt(1 / max(trials, 1) + 1 / len(rates)) * others
        overhead = float(np.mean(self.overheads)) * trials if self.overheads else 0.0
        middle = certain + mean * others + overhead
        return max(float(middle - INTERVAL_WIDTH * error), 0.7 * middle), float(middle + INTERVAL_WIDTH * error)


def _spread(rates: list[float]) -> float:
    """Return the standard deviation between trials; a third of the mean if only one is known."""
    return float(np.std(rates, ddof=1)) if len(rates) > 1 else rates[0] / 3
