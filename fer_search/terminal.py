"""Output to terminals, pipes and files: hostile text is made harmless, and output that fails never fails a trial."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO

# control characters except tab and line break, C1 controls, bidirectional overrides, and lone surrogates
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
FORMULA = re.compile(r"^[\s]*[=+\-@]")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?")
OUTPUT_ERRORS = (OSError, ValueError)  # a full disk, a closed pipe or terminal; a closed file


class OutputError(Exception):
    """Standard output or error cannot be written to; the cause is the OSError."""


def printable(text: str) -> str:
    """Return text in which a terminal sees no escape sequence: control characters are shown as in Python."""
    return UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def spreadsheet_safe(text: str) -> str:
    """Return the text of a csv cell that no spreadsheet takes for a formula: such a cell gets an apostrophe first."""
    text = printable(text)
    is_formula = FORMULA.match(text) is not None and NUMBER.fullmatch(text.strip()) is None
    return f"'{text}" if is_formula else text


class OutputStream:
    """A standard stream whose failures are ``OutputError``, so that they are told from those of other files.

    Args:
        stream: The stream; None if it was closed before the process started.
        tolerant: Drop the output after a failure instead.
    """

    def __init__(self, stream: TextIO | None, tolerant: bool = False) -> None:
        self.stream, self.tolerant, self.failed = stream, tolerant, stream is None

    def __getattr__(self, name: str) -> Any:
        if self.stream is None:
            raise AttributeError(name)
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write text."""
        if self.stream is not None and not self.failed:
            try:
                self.stream.write(text)
            except OUTPUT_ERRORS as error:
                self._fail(error)
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        if self.stream is not None and not self.failed:
            try:
                self.stream.flush()
            except OUTPUT_ERRORS as error:
                self._fail(error)

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return self.stream is not None and not self.failed and self.stream.isatty()

    def writable(self) -> bool:
        """Return True."""
        return True

    def _fail(self, error: Exception) -> None:
        self.failed = True
        if not self.tolerant:
            raise OutputError(str(error)) from error


@contextlib.contextmanager
def guarded_streams() -> Iterator[None]:
    """Make failures of standard output ``OutputError``, and drop what standard error cannot take.

    Characters that the streams' encodings lack are shown as escapes.
    """
    streams = sys.stdout, sys.stderr
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            with contextlib.suppress(*OUTPUT_ERRORS):
                stream.reconfigure(errors="backslashreplace")
    sys.stdout = OutputStream(streams[0])
    sys.stderr = OutputStream(streams[1], tolerant=True)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
