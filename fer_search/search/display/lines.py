"""Plain lines of text, for logs and pipes."""

from __future__ import annotations

from rich.console import Console

from fer_search.search.display.events import (
    Best,
    EpochEnded,
    Event,
    Note,
    Preparing,
    SearchEnded,
    TrialBegun,
    TrialEnded,
)
from fer_search.search.display.formatting import format_choices, format_range
from fer_search.terminal import printable


class Lines:
    """Prints a line per trial and epoch.

    Args:
        console: Console to print to.
        quiet: Print only notes, failures and the end of the search.
    """

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self.console, self.quiet = console, quiet
        self.epochs: dict[int, int] = {}  # number of epochs of each running trial
        self.several = False  # whether trials have trained at the same time; from then on every line names its trial

    def show(self, event: Event) -> None:
        if isinstance(event, (Note, SearchEnded)):
            self.say(event.text)
        elif isinstance(event, Preparing) and not self.quiet:
            self.say(f"{event.text} ...")
        elif isinstance(event, TrialEnded):
            self.epochs.pop(event.number, None)
            if event.status == "failed" or not self.quiet:
                self.say(format_trial_end(event, self.several))
        elif isinstance(event, TrialBegun) and not self.quiet:
            self.epochs[event.number] = event.epochs
            self.several |= len(self.epochs) > 1
            self.say(format_trial_begin(event))
        elif isinstance(event, EpochEnded) and not self.quiet:
            self.say(format_epoch(event, self.epochs[event.trial], self.several))

    def close(self) -> None:
        """Nothing to close."""

    def say(self, text: str) -> None:
        self.console.print(printable(text), highlight=False, markup=False, soft_wrap=True)


def format_trial_begin(event: TrialBegun) -> str:
    title = event.name or format_choices(event.choices)
    resumed = f"; resuming after epoch {len(event.curve)}" if event.curve else ""
    planned = "" if event.trials is None else f" ({event.number + 1} of {event.trials})"
    return f"trial {event.number}{planned}: {title}{resumed}"


def format_epoch(event: EpochEnded, epochs: int, named: bool = False) -> str:
    """Return an epoch in a line; ``named`` says of which trial, where several train."""
    row, trial = event.row, f"trial {event.trial}: " if named else ""
    accuracies = f"accuracy {row['accuracy']:.3f}, validation {row['val_accuracy']:.3f} (loss {row['val_loss']:.3f})"
    left = format_range(*event.left)
    return f"  {trial}epoch {row['epoch']:.0f} of {epochs}: {accuracies}, {row['seconds']:.1f} s; {left} left"


def format_trial_end(event: TrialEnded, named: bool = False) -> str:
    """Return the end of a trial in a line; ``named`` says of which trial, where several train."""
    if event.status == "failed":
        line = f"trial {event.number} failed: {event.message}"
    else:
        early = f"; {event.message}" if event.message else ""
        trial = f"trial {event.number}: " if named else ""
        line = f"{trial}{event.metric} {event.accuracy:.3f} in epoch {event.best_epoch}{early}"
    return f"  {line}; best so far: {format_best(event.best)}"


def format_best(best: Best | None) -> str:
    """Return "0.652 by trial 3 (figure_1)"."""
    if best is None:
        return "none yet"
    return f"{best.accuracy:.3f} by trial {best.number}" + (f" ({best.name})" if best.name else "")
