"""Which view a search has."""

from __future__ import annotations

import sys

from rich.console import Console

from fer_search.search.display.events import View
from fer_search.search.display.json_lines import JsonLines
from fer_search.search.display.lines import Lines
from fer_search.search.display.live import Live


def choose_view(quiet: bool = False, json: bool = False) -> View:
    """Return the view: what people read goes to stderr, JSON to stdout.

    Args:
        quiet: the first and the last lines, failures, and nothing else.
        json: one JSON object a line for each event.
    """
    if json:
        return JsonLines(sys.stdout)
    console = Console(stderr=True)  # honours NO_COLOR and TERM=dumb
    return (
        Live(console) if console.is_terminal and not console.is_dumb_terminal and not quiet else Lines(console, quiet)
    )
