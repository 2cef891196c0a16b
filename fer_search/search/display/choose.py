"""Choosing how a search is shown."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

from fer_search.console import SafeConsole
from fer_search.search.display.events import Event, Reporter
from fer_search.search.display.json_lines import JsonLines
from fer_search.search.display.lines import Lines
from fer_search.search.display.live import Live
from fer_search.terminal import OUTPUT_ERRORS, OutputError


def choose_reporter(quiet: bool = False, json: bool = False) -> Reporter:
    """Return the reporter: text for people goes to stderr, JSON to stdout.

    Args:
        quiet: Print only failures and the first and last lines.
        json: Print one JSON object per event.
    """
    if json:
        return TolerantReporter(JsonLines(sys.stdout))
    console = SafeConsole(stderr=True)  # honours NO_COLOR and TERM=dumb
    if console.is_terminal and not console.is_dumb_terminal and not quiet:
        return TolerantReporter(Live(console))
    return TolerantReporter(Lines(console, quiet))


class TolerantReporter:
    """Passes events on until that fails: a closed terminal or a full disk must not fail a trial.

    Args:
        reporter: Shows the events.
    """

    def __init__(self, reporter: Reporter) -> None:
        self.reporter, self.failed = reporter, False

    def show(self, event: Event) -> None:
        self._try(lambda: self.reporter.show(event))

    def close(self) -> None:
        """Close the reporter, and say on stderr if output was lost."""
        self._try(self.reporter.close)

    def _try(self, output: Callable[[], None]) -> None:
        if self.failed:
            return
        try:
            output()
        except (OutputError, *OUTPUT_ERRORS) as error:
            self.failed = True
            with contextlib.suppress(OutputError, *OUTPUT_ERRORS):
                print(f"fer-search: output stopped ({error}); the search continues", file=sys.stderr)
