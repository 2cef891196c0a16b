"""What a user sees while a search runs: a live display on a terminal, plain lines elsewhere; all on stderr."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from fer_search.search.plan import Amount
from fer_search.training.epochs import Row
from fer_search.training.trial import Progress as TrialProgress


class Display:
    """Shows a search: which trial of how many, its epoch and live accuracy, the best so far, the time left.

    Args:
        console: where to; a live display where it is a terminal.
        amount: what the whole search will train.
        trials: trials done by earlier starts.
        epochs: epochs done by earlier starts.
        estimate: seconds that the whole search was estimated to take.
    """

    def __init__(self, console: Console, amount: Amount, trials: int, epochs: int, estimate: float) -> None:
        self.console, self.amount = console, amount
        self.trials, self.epochs = trials, epochs
        self.seconds_an_epoch = estimate / max(amount.epochs, 1)
        self.best = "none yet"
        self._seen, self._began = 0, time.monotonic()
        self._title = ""
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[text]}"))
        self._live = Progress(*columns, console=console, transient=True) if console.is_terminal else None
        self._tasks: tuple[TaskID, TaskID] | None = None

    def __enter__(self) -> Display:
        if self._live:
            self._tasks = (self._live.add_task("search", text=""), self._live.add_task("epoch", text=""))
            self._live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self._live:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print a line above the display."""
        (self._live.console if self._live else self.console).print(text, highlight=False, markup=False, soft_wrap=True)

    def begin_trial(self, number: int, title: str, epochs: int, done: int) -> None:
        """A trial starts, or goes on after ``done`` epochs."""
        self._title = f"trial {number} ({number + 1} of {self.amount.trials})"
        again = f"; going on after epoch {done}" if done else ""
        self.say(f"{self._title}: {title}{again}")
        self._epochs = epochs

    def progress(self, at: TrialProgress) -> None:
        """Some steps of an epoch are done."""
        if self._live and self._tasks:
            overall, current = self._tasks
            text = f"best {self.best}; {self.time_left()}"
            share = (self.epochs + at.done / at.images) / max(self.amount.epochs, 1)
            self._live.update(overall, completed=100 * share, description=self._title, text=text)
            text = f"accuracy {at.accuracy:.3f}, loss {at.loss:.3f}"
            name = f"epoch {at.epoch} of {self._epochs}"
            self._live.update(current, completed=100 * at.done / at.images, description=name, text=text)

    def end_epoch(self, row: Row) -> None:
        """An epoch is done and recorded."""
        self.epochs += 1
        self._seen += 1
        self.say(
            f"  epoch {row['epoch']:.0f} of {self._epochs}: accuracy {row['accuracy']:.3f}, "
            f"validation {row['val_accuracy']:.3f} (loss {row['val_loss']:.3f}), {row['seconds']:.1f} s; {self.time_left()}"
        )

    def end_trial(self, best: str, line: str) -> None:
        """A trial is done; ``best`` is the best so far, in words."""
        self.trials += 1
        self.best = best
        self.say(f"  {line}; best so far: {best}")

    def time_left(self) -> str:
        """Return the time left in words: from the epochs of this start, from the estimate before the first of them."""
        if self._seen:
            self.seconds_an_epoch = (time.monotonic() - self._began) / self._seen
        return f"{in_words(self.seconds_an_epoch * max(self.amount.epochs - self.epochs, 0))} left"


def in_words(seconds: float) -> str:
    """Return a duration as people say it: "about 40 s", "about 6 min", "about 3.5 h", "about 2.1 days"."""
    for unit, size, digits in (("days", 86400.0, 1), ("h", 3600.0, 1), ("min", 60.0, 0)):
        if seconds >= 1.5 * size:
            return f"about {seconds / size:.{digits}f} {unit}"
    return f"about {seconds:.0f} s"
