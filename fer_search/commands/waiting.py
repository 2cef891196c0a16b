"""Saying what is being done while Keras and its backend start, which takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def waiting(text: str, silent: bool = False) -> Iterator[None]:
    """Show a spinner with a text on stderr; a line of text where that is no terminal.

    Args:
        text: What is being done: "Starting Keras".
        silent: Show nothing.
    """
    console = Console(stderr=True)
    if silent:
        yield
    elif console.is_terminal and not console.is_dumb_terminal:
        with console.status(f"{text} ..."):
            yield
    else:
        console.print(f"{text} ...", highlight=False, markup=False, soft_wrap=True)
        yield
