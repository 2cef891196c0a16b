"""Encodings and separators of csv files."""

from __future__ import annotations

import codecs
import csv
import io
from typing import IO, NamedTuple

from fer_search.data.limits import read_line
from fer_search.errors import UserError

SEPARATORS = (",", ";", "\t", "|")
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
LFS_POINTER = b"version https://git-lfs.github.com/spec"


class Dialect(NamedTuple):
    """How a csv file is written.

    Attributes:
        separator: Between columns.
        columns: Number of columns of the header.
    """

    separator: bytes
    columns: int


class _Prefixed(io.RawIOBase):
    """A readable stream that gives some bytes before those of another stream."""

    def __init__(self, start: bytes, rest: IO[bytes]) -> None:
        self.start, self.rest = start, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        data, self.start = self.start[: len(buffer)], self.start[len(buffer) :]
        data = data or self.rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Utf8(io.RawIOBase):
    """A UTF-16 stream as UTF-8."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.decoder = file, codecs.getincrementaldecoder("utf-16")()
        self.pending = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        while not self.pending and (block := self.file.read(1 << 20)):
            self.pending = self.decoder.decode(block).encode()
        data, self.pending = self.pending[: len(buffer)], self.pending[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


def refuse_lfs_pointer(start: bytes, path: str) -> None:
    """Raise a UserError if a file is a Git LFS pointer instead of the data."""
    if start.startswith(LFS_POINTER):
        raise UserError(f"{path} is a Git LFS pointer, not the data; run `git lfs pull` where you cloned it")


def open_csv(file: IO[bytes], path: str) -> tuple[IO[bytes], Dialect, list[str]]:
    """Return a csv file as UTF-8 after its header, its dialect, and the names in its header.

    A byte order mark, a line ``sep=;`` and UTF-16 (as Excel writes them) are understood.
    """
    start = file.read(64)
    refuse_lfs_pointer(start, path)
    stream: IO[bytes] = io.BufferedReader(_Prefixed(start, file), 1 << 20)  # type: ignore[type-var]
    if start.startswith(UTF16):
        stream = io.BufferedReader(_Utf8(stream), 1 << 20)  # type: ignore[type-var]
    header = read_line(stream, path).decode("utf-8-sig", "replace").strip("\r\n")
    separator = ""
    if header.lower().startswith("sep=") and len(header) > 4:
        separator, header = header[4], read_line(stream, path).decode("utf-8", "replace").strip("\r\n")
    separator = separator or max(SEPARATORS, key=header.count)
    try:
        names = [name.strip() for name in next(csv.reader([header], delimiter=separator, skipinitialspace=True), [])]
    except csv.Error as error:
        raise UserError(f"{path}: its header is no line of a csv file ({error})") from error
    return stream, Dialect(separator.encode(), len(names)), names
