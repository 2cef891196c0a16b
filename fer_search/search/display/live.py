"""Live panel on a terminal: the running trial and its curve, the best so far, failures, speed and remaining time."""

from __future__ import annotations

import time

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fer_search.search.display.events import (
    Best,
    EpochEnded,
    Event,
    Note,
    SearchBegun,
    SearchEnded,
    Steps,
    TrialBegun,
    TrialEnded,
)
from fer_search.search.display.formatting import format_choices, format_range, plural
from fer_search.search.display.lines import format_trial_end

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_BLOCKS = " .:-=+*#@"
MAX_CURVE_WIDTH = 40


class Live:
    """Shows a search in a panel below one line per ended trial.

    Args:
        console: Console of a terminal.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.search: SearchBegun | None = None
        self.trial: TrialBegun | None = None
        self.steps: Steps | None = None
        self.best: Best | None = None
        self.curve: list[float] = []
        self.done = self.failed = self.epochs = 0
        self.left: tuple[float, float] | None = None
        self.began = time.monotonic()
        self._live = RichLive(console=console, refresh_per_second=4, transient=True, get_renderable=self._draw)

    def show(self, event: Event) -> None:
        match event:
            case Note(text):
                self._say(text)
            case SearchBegun():
                self.search, self.done, self.best, self.left = event, event.done, event.best, event.estimate
                self.began = time.monotonic()
                self._live.start()
            case TrialBegun():
                self.trial, self.curve, self.steps = event, list(event.curve), None
            case Steps():
                self.steps, self.left = event, event.left
            case EpochEnded():
                self.curve.append(event.row["val_accuracy"])
                self.epochs, self.left, self.steps = self.epochs + 1, event.left, None
            case TrialEnded():
                self.done, self.failed, self.best = self.done + 1, event.failed, event.best
                self._say(
                    f"trial {event.number}{f' ({event.name})' if event.name else ''}:{format_trial_end(event)[1:]}"
                )
                self.trial = None
            case SearchEnded():
                self.close()
                self._say(event.text)

    def close(self) -> None:
        self._live.stop()

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _draw(self) -> RenderableType:
        if self.search is None:
            return Text()
        lines: list[RenderableType] = [
            _bar(f"{self.done} of {plural(self.search.trials, 'trial')}", self._fraction_done(), self._summary())
        ]
        if self.trial is not None:
            lines += self._running(self.trial)
        if self.best is not None:
            name = f"{self.best.name}: " if self.best.name else ""
            lines.append(
                Text(
                    f"best {self.best.accuracy:.3f}, trial {self.best.number}: "
                    f"{name}{format_choices(self.best.choices)}"
                )
            )
        return Panel(
            Group(*lines), title=f"{self.search.tuner} in {self.search.folder}", title_align="left", box=box.ROUNDED
        )

    def _running(self, trial: TrialBegun) -> list[RenderableType]:
        title = trial.name or format_choices(trial.choices)
        lines: list[RenderableType] = [Text(f"trial {trial.number}: {title}", overflow="ellipsis", no_wrap=True)]
        if self.steps is not None:
            text = f"accuracy {self.steps.accuracy:.3f}, loss {self.steps.loss:.3f}"
            lines.append(_bar(f"epoch {self.steps.epoch} of {trial.epochs}", self.steps.done / self.steps.images, text))
        if self.curve:
            drawn = sparkline(self.curve[-MAX_CURVE_WIDTH:], BLOCKS if self._unicode() else ASCII_BLOCKS)
            lines.append(Text(f"validation {drawn} {self.curve[-1]:.3f}, at best {max(self.curve):.3f}"))
        return lines

    def _fraction_done(self) -> float:
        assert self.search is not None
        within = len(self.curve) / self.trial.epochs if self.trial else 0.0
        return min((self.done + min(within, 1.0)) / max(self.search.trials, 1), 1.0)

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
