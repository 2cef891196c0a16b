"""What ends a search before its last trial: a signal, or its time."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any


@dataclass
class Stop:
    """Whether the run is to end.

    Args:
        number: the signal that asked for it, if any.
        deadline: ``time.monotonic()`` after which its time is up, if it has a limit.
        goodbye: called as soon as a signal asks; who asks may not wait for the end of the step.
    """

    number: int | None = None
    deadline: float | None = None
    goodbye: Callable[[], None] = lambda: None

    @property
    def out_of_time(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def __call__(self) -> bool:
        return self.number is not None or self.out_of_time


@contextmanager
def stopping(say: Callable[[str], None]) -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a wish to stop; the second SIGINT ends the process at once."""
    stop = Stop()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.number is not None and number == signal.SIGINT:
            _end_at_once()
        stop.number = number
        stop.goodbye()
        say("Stopping after this step; once more to stop at once.")

    before: dict[int, Callable[..., Any] | int | None] = {}
    for wanted in (signal.SIGINT, signal.SIGTERM):
        before[wanted] = signal.signal(wanted, handle)
    try:
        yield stop
    finally:
        for signal_number, handler in before.items():
            signal.signal(signal_number, handler)


def _end_at_once() -> None:
    """End the process as a kill would, which a run folder survives.

    An exception would be lost where the signal arrives in a callback from C (JAX has one for garbage collection).
    """
    show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
    message = "fer-search: stopped at once; the same command goes on from the last epoch"
    os.write(2, f"{show_cursor}{message}\n".encode())
    os._exit(130)
