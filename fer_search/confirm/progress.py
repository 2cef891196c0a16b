"""Progress of ``fer-search confirm``, on stderr."""

from __future__ import annotations

import contextlib

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from fer_search.confirm.clock import Clock
from fer_search.runfolder.epochs import Row
from fer_search.search.display.formatting import format_duration
from fer_search.terminal import OUTPUT_ERRORS, OutputError, printable
from fer_search.training.trial import Progress as StepProgress


def print_line(console: Console, text: str) -> None:
    """Print a line; output that fails must not fail a training."""
    with contextlib.suppress(OutputError, *OUTPUT_ERRORS):
        console.print(printable(text), highlight=False, markup=False, soft_wrap=True)


class ConfirmProgress:
    """A progress bar over all trainings on a terminal, a line per epoch elsewhere.

    Args:
        console: Output.
        clock: Is told what is trained, and knows the remaining time.
    """

    def __init__(self, console: Console, clock: Clock) -> None:
        self.console, self.clock = console, clock
        self.interactive = console.is_terminal and not console.is_dumb_terminal
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:.0f}%"))
        left = TextColumn("{task.fields[left]}")
        self.bar = Progress(*columns, left, console=console, transient=True, disable=not self.interactive)
        self.task = self.bar.add_task("", total=clock.total, left="")
        self.title = ""
        self._update("")
        with contextlib.suppress(OutputError, *OUTPUT_ERRORS):
            self.bar.start()

    def say(self, text: str) -> None:
        """Print a line."""
        print_line(self.console, text)

    def begin(self, title: str) -> None:
        """Announce a training."""
        self.title = title
        self._update(title)
        if not self.interactive:
            self.say(title)

    def steps(self, number: int, progress: StepProgress) -> None:
        """Show that some steps of an epoch of a training were done."""
        self.clock.progress(number, progress.epoch - 1 + progress.done / progress.images)
        self._update(f"{self.title}: epoch {progress.epoch}, accuracy {progress.accuracy:.3f}")

    def epoch(self, number: int, row: Row, training: str = "") -> None:
        """Show that an epoch was trained; ``training`` says of which training, where several run."""
        self.clock.end_epoch(number, row)
        if not self.interactive:
            epoch = f"epoch {row['epoch']:.0f} of {len(self.clock.expected[number])}"
            accuracy = f"training accuracy {row['accuracy']:.3f}"
            self.say(f"  {training}{epoch}: {accuracy}, {row['seconds']:.1f} s{self._left('; ')}")

    def end_training(self, number: int) -> None:
        """A training completed or failed."""
        self.clock.end_training(number)

    def close(self) -> None:
        """Remove the bar."""
        with contextlib.suppress(OutputError, *OUTPUT_ERRORS):
            self.bar.stop()

    def _left(self, before: str = "") -> str:
        """Return the remaining time; "" if there is none."""
        seconds = self.clock.left()
        return f"{before}{format_duration(seconds)} left" if seconds >= 1 else ""

    def _update(self, description: str) -> None:
        with contextlib.suppress(OutputError, *OUTPUT_ERRORS):
            self.bar.update(self.task, description=description, completed=self.clock.trained, left=self._left())
