"""What ``fer-search confirm`` shows while it trains, on stderr."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from fer_search.runfolder.epochs import Row
from fer_search.training.trial import Progress as Steps


class Shown:
    """A bar over all epochs on a terminal, a line an epoch elsewhere.

    Args:
        console: where to.
        epochs: of all trainings together.
        done: of these, trained before this start.
    """

    def __init__(self, console: Console, epochs: int, done: int = 0) -> None:
        self.console, self.epochs = console, epochs
        self.live = console.is_terminal and not console.is_dumb_terminal
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f}%"))
        self.bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not self.live)
        self.task = self.bar.add_task("", total=epochs, completed=done)
        self.done, self.title, self.began = done, "", time.monotonic()
        self.bar.start()

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def begin(self, title: str) -> None:
        """A training starts."""
        self.title = title
        self.bar.update(self.task, description=title)
        if not self.live:
            self.say(title)

    def steps(self, at: Steps) -> None:
        """Some steps of an epoch are trained."""
        share = at.done / at.images
        about = f"{self.title}: epoch {at.epoch}, accuracy {at.accuracy:.3f}"
        self.bar.update(self.task, completed=self.done + share, description=about)

    def epoch(self, row: Row) -> None:
        """An epoch is trained."""
        self.done += 1
        if not self.live:
            self.say(f"  epoch {row['epoch']:.0f}: training accuracy {row['accuracy']:.3f}, {row['seconds']:.1f} s")

    def close(self) -> None:
        self.bar.stop()
