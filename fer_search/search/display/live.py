"""Live panel on a terminal: the running trial and its curve, the best so far, failures, speed and remaining time."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.status import Status
from rich.table import Table
from rich.text import Text

from fer_search.search.display.events import (
    Best,
    EpochEnded,
    Event,
    Note,
    Preparing,
    SearchBegun,
    SearchEnded,
    Steps,
    TrialBegun,
    TrialEnded,
)
from fer_search.search.display.formatting import format_choices, format_range, plural
from fer_search.search.display.lines import format_trial_end
from fer_search.terminal import printable

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_BLOCKS = " .:-=+*#@"
MAX_CURVE_WIDTH = 40
MAX_LINES = 12  # running trials shown


@dataclass
class RunningTrial:
    """A trial that trains: its validation accuracies so far, and its progress within the current epoch."""

    begun: TrialBegun
    curve: list[float]
    steps: Steps | None = None


class Live:
    """Shows a search in a panel below one line per ended trial.

    Args:
        console: Console of a terminal.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.search: SearchBegun | None = None
        self.running: dict[int, RunningTrial] = {}
        self.best: Best | None = None
        self.done = self.failed = self.epochs = 0
        self.left: tuple[float, float] | None = None
        self.began = time.monotonic()
        self._spinner: Status | None = None
        self._live = RichLive(console=console, refresh_per_second=4, transient=True, get_renderable=self._draw)

    def show(self, event: Event) -> None:
        self._stop_spinner()
        match event:
            case Preparing(text):
                self._spinner = self.console.status(f"{text} ...")
                self._spinner.start()
            case Note(text):
                self._say(text)
            case SearchBegun():
                self.search, self.done, self.best, self.left = event, event.done, event.best, event.estimate
                self.began = time.monotonic()
                self._live.start()
            case TrialBegun():
                self.running[event.number] = RunningTrial(event, list(event.curve))
            case Steps():
                self.left = event.left
                if event.trial in self.running:
                    self.running[event.trial].steps = event
            case EpochEnded():
                self.epochs, self.left = self.epochs + 1, event.left
                if event.trial in self.running:
                    self.running[event.trial].curve.append(event.row["val_accuracy"])
                    self.running[event.trial].steps = None
            case TrialEnded():
                self.done, self.failed, self.best = self.done + 1, event.failed, event.best
                self._say(
                    f"trial {event.number}{f' ({event.name})' if event.name else ''}:{format_trial_end(event)[1:]}"
                )
                self.running.pop(event.number, None)
            case SearchEnded():
                self.close()
                self._say(event.text)

    def close(self) -> None:
        self._stop_spinner()
        self._live.stop()

    def _stop_spinner(self) -> None:
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None

    def _say(self, text: str) -> None:
        self.console.print(printable(text), highlight=False, markup=False, soft_wrap=True)

    def _draw(self) -> RenderableType:
        if self.search is None:
            return Text()
        lines: list[RenderableType] = [_bar(self._trials_done(), self._fraction_done(), self._summary())]
        if len(self.running) == 1:
            lines += self._details(*self.running.values())
        else:
            lines += [self._line(trial) for trial in list(self.running.values())[:MAX_LINES]]
            if (hidden := len(self.running) - MAX_LINES) > 0:
                lines.append(Text(f"and {plural(hidden, 'trial')} more"))
        if self.best is not None:
            name = f"{self.best.name}: " if self.best.name else ""
            lines.append(
                Text(
                    f"best {self.best.accuracy:.3f}, trial {self.best.number}: "
                    f"{name}{format_choices(self.best.choices)}"
                )
            )
        return Panel(
            Group(*lines),
            title=Text(printable(f"{self.search.tuner} in {self.search.folder}")),
            title_align="left",
            box=box.ROUNDED,
        )

    def _details(self, trial: RunningTrial) -> list[RenderableType]:
        begun, steps = trial.begun, trial.steps
        title = begun.name or format_choices(begun.choices)
        lines: list[RenderableType] = [Text(f"trial {begun.number}: {title}", overflow="ellipsis", no_wrap=True)]
        if steps is not None:
            text = f"accuracy {steps.accuracy:.3f}, loss {steps.loss:.3f}"
            lines.append(_bar(f"epoch {steps.epoch} of {begun.epochs}", steps.done / steps.images, text))
        if trial.curve:
            best = max(trial.curve)
            lines.append(Text(f"validation {self._sparkline(trial.curve)} {trial.curve[-1]:.3f}, at best {best:.3f}"))
        return lines

    def _line(self, trial: RunningTrial) -> RenderableType:
        """Return one of several running trials in a line."""
        begun = trial.begun
        done = trial.steps.done / trial.steps.images if trial.steps else 0.0
        epoch = min(len(trial.curve) + 1, begun.epochs)
        curve = f"{self._sparkline(trial.curve[-10:])} {trial.curve[-1]:.3f} " if trial.curve else ""
        title = begun.name or format_choices(begun.choices)
        row = _bar(f"trial {begun.number}: epoch {epoch} of {begun.epochs}", done, f"{curve}{title}")
        row.columns[-1].no_wrap, row.columns[-1].overflow = True, "ellipsis"
        return row

    def _sparkline(self, curve: list[float]) -> str:
        return sparkline(curve[-MAX_CURVE_WIDTH:], BLOCKS if self._unicode() else ASCII_BLOCKS)

    def _trials_done(self) -> str:
        assert self.search is not None
        if self.search.trials is None:
            return plural(self.done, "trial")
        return f"{self.done} of {plural(self.search.trials, 'trial')}"

    def _fraction_done(self) -> float:
        assert self.search is not None
        if self.search.trials is None:
            used = self.search.seconds + time.monotonic() - self.began
            return used / max(used + (self.left or self.search.estimate)[1], 1e-9)
        within = sum(min(len(trial.curve) / trial.begun.epochs, 1.0) for trial in self.running.values())
        return min((self.done + within) / max(self.search.trials, 1), 1.0)

    def _summary(self) -> str:
        parts = [f"{format_range(*self.left)} left"] if self.left else []
        if self.epochs:
            speed = self.epochs / max(time.monotonic() - self.began, 1e-9)
            parts.append(f"{speed:.2g} epochs/s" if speed >= 0.1 else f"{1 / speed:.0f} s an epoch")
        return ", ".join([*parts, *([plural(self.failed, "failure")] if self.failed else [])])

    def _unicode(self) -> bool:
        return self.console.encoding.lower().startswith("utf")


def sparkline(values: list[float], blocks: str = BLOCKS) -> str:
    """Draw a curve as a line of block characters; the lowest value gets the second-lowest block."""
    low, high = min(values), max(values)
    scale = (len(blocks) - 2) / (high - low) if high > low else 0.0
    return "".join(blocks[1 + round((value - low) * scale)] for value in values)


def _bar(name: str, fraction: float, text: str) -> Table:
    row = Table.grid(padding=(0, 1))
    row.add_row(Text(name), ProgressBar(total=1.0, completed=fraction, width=24), Text(text))
    return row
