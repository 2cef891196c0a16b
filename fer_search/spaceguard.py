"""Calls the code of a space file so that it can neither end the process, nor print into our output, nor hang unseen.

A space file is a program that the user chose to run; this is no sandbox (see SECURITY.md). It only turns mistakes into
errors that name the line.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from fer_search.terminal import OUTPUT_ERRORS, OutputError, OutputStream, printable

SLOW_SECONDS = 5.0  # after which a call is reported to be still running
REPEAT_SECONDS = 60.0
EXIT_MESSAGE = "it calls {}; a space file must only define choices"


class SpaceExit(BaseException):
    """The space file tried to end the process, or raised what is no Exception; the message says how."""


@contextlib.contextmanager
def guarded_call(path: Path) -> Iterator[None]:
    """Run code of a space file: prints go to stderr, exits raise SpaceExit, and a long run is reported with its line.

    Args:
        path: The space file.
    """
    call = _watchdog.begin(path)
    exit_now = os._exit
    os._exit = _refuse_exit
    try:
        with contextlib.redirect_stdout(OutputStream(sys.stderr, tolerant=True)):
            yield
    except SystemExit as error:
        raise SpaceExit(EXIT_MESSAGE.format("sys.exit")).with_traceback(error.__traceback__) from None
    except (Exception, SpaceExit, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # one of the file's own, which nothing else would catch
        message = f"{type(error).__name__}: {error}"
        raise SpaceExit(message).with_traceback(error.__traceback__) from None
    finally:
        os._exit = exit_now
        _watchdog.end(call)


def _refuse_exit(status: int = 0) -> NoReturn:
    raise SpaceExit(EXIT_MESSAGE.format("os._exit"))


class _Call:
    """A call of a space file that is running."""

    def __init__(self, path: Path) -> None:
        self.path, self.thread = path, threading.get_ident()
        self.started = time.monotonic()
        self.due = self.started + SLOW_SECONDS

    def report(self, now: float) -> None:
        """Say on stderr which line is running."""
        self.due = now + REPEAT_SECONDS
        where, seconds = _running_line(self.path, self.thread), now - self.started
        with contextlib.suppress(OutputError, *OUTPUT_ERRORS):
            text = f"fer-search: {where}: the space file is still running after {seconds:.0f} s; Ctrl-C stops it"
            print(printable(text), file=sys.stderr, flush=True)


class _Watchdog:
    """Reports calls that take long, from one thread for all calls: a search makes thousands of short ones."""

    def __init__(self) -> None:
        self.calls: list[_Call] = []
        self.changed = threading.Condition()
        self.wakes = float("inf")  # when the thread looks next
        self.started = False

    def begin(self, path: Path) -> _Call:
        """Start watching a call in this thread."""
        call = _Call(path)
        with self.changed:
            self.calls.append(call)
            if not self.started:
                self.started = True
                threading.Thread(target=self._watch, daemon=True).start()
            elif call.due < self.wakes:
                self.changed.notify()
        return call

    def end(self, call: _Call) -> None:
        """Stop watching a call; one that began before this process was forked is not known here."""
        with self.changed, contextlib.suppress(ValueError):
            self.calls.remove(call)

    def _watch(self) -> None:
        while True:
            with self.changed:
                self.wakes = min((call.due for call in self.calls), default=float("inf"))
                wait = self.wakes - time.monotonic()
                self.changed.wait(None if wait == float("inf") else max(wait, 0))
                now = time.monotonic()
                slow = [call for call in self.calls if call.due <= now]
            for call in slow:  # without the lock: stderr may block
                call.report(now)


_watchdog = _Watchdog()


def _renew_watchdog() -> None:
    """Give a forked process, which has none of its parent's threads, a watchdog of its own."""
    global _watchdog
    _watchdog = _Watchdog()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_watchdog)


def _running_line(path: Path, thread: int) -> str:
    """Return the file and line of a space file that a thread is in."""
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if frame.f_code.co_filename == str(path):
            return f"{path}, line {frame.f_lineno}"
        frame = frame.f_back
    return str(path)
