"""Stopping a search before its last trial: on a signal, or when its time budget is used up."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import _exit  # spaceguard replaces os._exit while a space file runs
from types import FrameType
from typing import Any


@dataclass
class Stop:
    """Whether the search should stop; calling it returns the answer.

    Args:
        signum: The signal that requested the stop, if any.
        deadline: ``time.monotonic()`` at which the time budget ends; None for no limit.
        grace: Seconds after the deadline in which a running trial may end, if it can.
        time_to_end: Returns the seconds until the first running trial ends; infinite if unknown.
        on_signal: Called inside the signal handler: whoever sent the signal may not wait for the current step to end.
    """

    signum: int | None = None
    deadline: float | None = None
    grace: float = 0.0
    time_to_end: Callable[[], float] = lambda: float("inf")
    on_signal: Callable[[], None] = lambda: None

    @property
    def out_of_time(self) -> bool:
        """Whether the deadline has passed, and no running trial ends within the grace period."""
        now = time.monotonic()
        if self.deadline is None or now < self.deadline:
            return False
        return now + self.time_to_end() > self.deadline + self.grace

    def __call__(self) -> bool:
        return self.signum is not None or self.out_of_time


@contextmanager
def stopping(say: Callable[[str], None]) -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a request to stop; a second SIGINT exits the process immediately.

    Args:
        say: Prints a line.
    """
    stop = Stop()

    def handle(signum: int, frame: FrameType | None) -> None:
        if stop.signum is not None and signum == signal.SIGINT:
            _exit_immediately()
        stop.signum = signum
        stop.on_signal()
        say("Stopping after this step; press Ctrl-C again to stop immediately.")

    previous: dict[int, Callable[..., Any] | int | None] = {}
    for handled in (signal.SIGINT, signal.SIGTERM):
        previous[handled] = signal.signal(handled, handle)
    try:
        yield stop
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


def _exit_immediately() -> None:
    """Exit as a SIGKILL would, which a run folder survives.

    An exception would be lost where the signal arrives inside a callback from C (JAX registers one for garbage
    collection).
    """
    show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
    message = "fer-search: stopped immediately; re-run the same command to resume from the last epoch"
    os.write(2, f"{show_cursor}{message}\n".encode())
    _exit(130)
