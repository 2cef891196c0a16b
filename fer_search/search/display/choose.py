"""Choosing how a search is shown."""

from __future__ import annotations

import sys

from rich.console import Console

from fer_search.search.display.events import Reporter
from fer_search.search.display.json_lines import JsonLines
from fer_search.search.display.lines import Lines
from fer_search.search.display.live import Live


def choose_reporter(quiet: bool = False, json: bool = False) -> Reporter:
    """Return the reporter: text for people goes to stderr, JSON to stdout.

    Args:
        quiet: Print only failures and the first and last lines.
        json: Print one JSON object per event.
    """
    if json:
        return JsonLines(sys.stdout)
    console = Console(stderr=True)  # honours NO_COLOR and TERM=dumb
    if console.is_terminal and not console.is_dumb_terminal and not quiet:
        return Live(console)
    return Lines(console, quiet)
