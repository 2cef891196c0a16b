"""Calls the code of a space file so that it can neither end the process, nor print into our output, nor hang unseen.

A space file is a program that the user chose to run; this is no sandbox (see SECURITY.md). It only turns mistakes into
errors that name the line.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
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
    stop = threading.Event()
    watch = threading.Thread(target=_report_slow, args=(path, threading.get_ident(), stop), daemon=True)
    watch.start()
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
        stop.set()


def _refuse_exit(status: int = 0) -> NoReturn:
    raise SpaceExit(EXIT_MESSAGE.format("os._exit"))


def _report_slow(path: Path, thread: int, stop: threading.Event) -> None:
    wait, seconds = SLOW_SECONDS, 0.0
    while not stop.wait(wait):
        seconds, wait = seconds + wait, REPEAT_SECONDS
        where = _running_line(path, thread)
        with contextlib.suppress(OutputError, *OUTPUT_ERRORS):
            text = f"fer-search: {where}: the space file is still running after {seconds:.0f} s; Ctrl-C stops it"
            print(printable(text), file=sys.stderr, flush=True)


def _running_line(path: Path, thread: int) -> str:
    """Return the file and line of a space file that a thread is in."""
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if frame.f_code.co_filename == str(path):
            return f"{path}, line {frame.f_lineno}"
        frame = frame.f_back
    return str(path)
