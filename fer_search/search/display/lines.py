"""Plain lines, for logs and pipes."""

from __future__ import annotations

from rich.console import Console

from fer_search.search.display.events import Best, EpochEnded, Event, Note, SearchEnded, TrialBegun, TrialEnded
from fer_search.search.display.formatting import choices_in_words, range_in_words


class Lines:
    """Prints a line for each event that matters.

    Args:
        console: where to.
        quiet: leave out trials and epochs, except failures.
    """

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self.console, self.quiet, self.epochs = console, quiet, 0

    def show(self, event: Event) -> None:
        if isinstance(event, (Note, SearchEnded)):
            self.say(event.text)
        elif isinstance(event, TrialEnded) and (event.status == "failed" or not self.quiet):
            self.say(trial_ended(event))
        elif isinstance(event, TrialBegun) and not self.quiet:
            self.epochs = event.epochs
            self.say(trial_begun(event))
        elif isinstance(event, EpochEnded) and not self.quiet:
            self.say(epoch_ended(event, self.epochs))

    def close(self) -> None:
        """Nothing to end."""

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def trial_begun(event: TrialBegun) -> str:
    title = event.name or choices_in_words(event.choices)
    again = f"; going on after epoch {len(event.curve)}" if event.curve else ""
    return f"trial {event.number} ({event.number + 1} of {event.trials}): {title}{again}"


def epoch_ended(event: EpochEnded, epochs: int) -> str:
    row = event.row
    return (
        f"  epoch {row['epoch']:.0f} of {epochs}: accuracy {row['accuracy']:.3f}, validation {row['val_accuracy']:.3f} "
        f"(loss {row['val_loss']:.3f}), {row['seconds']:.1f} s; {range_in_words(*event.left)} left"
    )


def trial_ended(event: TrialEnded) -> str:
    if event.status == "failed":
        line = f"trial {event.number} failed: {event.message}"
    else:
        early = f"; {event.message}" if event.message else ""
        line = f"validation accuracy {event.accuracy:.3f} in epoch {event.best_epoch}{early}"
    return f"  {line}; best so far: {best_in_words(event.best)}"


def best_in_words(best: Best | None) -> str:
    """Return "0.652 by trial 3 (figure_1)"."""
    if best is None:
        return "none yet"
    return f"{best.accuracy:.3f} by trial {best.number}" + (f" ({best.name})" if best.name else "")
