"""Progress of ``fer-search confirm``, on stderr."""

from __future__ import annotations

import contextlib
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from fer_search.runfolder.epochs import Row
from fer_search.terminal import OUTPUT_ERRORS, OutputError, printable
from fer_search.training.trial import Progress as StepProgress


def print_line(console: Console, text: str) -> None:
    """Print a line; output that fails must not fail a training."""
    with contextlib.suppress(OutputError, *OUTPUT_ERRORS):
        console.print(printable(text), highlight=False, markup=False, soft_wrap=True)


class ConfirmProgress:
    """A progress bar over all epochs on a terminal, a line per epoch elsewhere.

    Args:
        console: Output.
        epochs: Number of epochs of all trainings together.
        done: Number of these that earlier starts trained.
    """

    def __init__(self, console: Console, epochs: int, done: int = 0) -> None:
        self.console = console
        self.interactive = console.is_terminal and not console.is_dumb_terminal
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:.0f}%"))
        self.bar = Progress(
            *columns, TimeRemainingColumn(), console=console, transient=True, disable=not self.interactive
        )
        self.task = self.bar.add_task("", total=epochs, completed=done)
        self.done, self.title = done, ""
        with contextlib.suppress(OutputError, *OUTPUT_ERRORS):
            self.bar.start()

    def say(self, text: str) -> None:
        """Print a line."""
        print_line(self.console, text)

    def begin(self, title: str) -> None:
        """Announce a training."""
        self.title = title
        self._update(description=title)
        if not self.interactive:
            self.say(title)

    def steps(self, progress: StepProgress) -> None:
        """Show that some steps of an epoch were trained."""
        fraction = progress.done / progress.images
        description = f"{self.title}: epoch {progress.epoch}, accuracy {progress.accuracy:.3f}"
        self._update(completed=self.done + fraction, description=description)

    def epoch(self, row: Row, training: str = "") -> None:
        """Show that an epoch was trained; ``training`` says of which training, where several run."""
        self.done += 1
        if not self.interactive:
            accuracy = f"training accuracy {row['accuracy']:.3f}"
            self.say(f"  {training}epoch {row['epoch']:.0f}: {accuracy}, {row['seconds']:.1f} s")

    def skip(self, epochs: int) -> None:
        """Count the remaining epochs of a failed training as done."""
        self.done += epochs

    def close(self) -> None:
        """Remove the bar."""
        with contextlib.suppress(OutputError, *OUTPUT_ERRORS):
            self.bar.stop()

    def _update(self, **fields: Any) -> None:
        with contextlib.suppress(OutputError, *OUTPUT_ERRORS):
            self.bar.update(self.task, **fields)
