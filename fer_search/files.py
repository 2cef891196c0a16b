"""Crash-safe file writes: after a kill or power cut at any instant a file holds its old or its new content."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TEMP_PREFIX = ".part-"  # file names of unfinished writes start with this
DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
_guards: list[Callable[[], None]] = []


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Replace a file atomically: write a temporary file beside it, fsync it, rename it over the target.

    Args:
        path: Target file; its folder must exist.
        write: Writes the whole content to the temporary path it is given, which has the target's suffixes.
    """
    handle, name = tempfile.mkstemp(prefix=TEMP_PREFIX, suffix="".join(path.suffixes), dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp creates private files
        check_write_guard()
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def guard_writes(check: Callable[[], None]) -> Iterator[None]:
    """Call ``check`` before every change to a trial's files; what it raises prevents the change.

    A worker may be given up for lost and still run; its guard keeps it from writing over its successor.
    """
    _guards.append(check)
    try:
        yield
    finally:
        _guards.remove(check)


def check_write_guard() -> None:
    """Raise what the guards of this process raise, if a file must not be changed any more."""
    for check in _guards:
        check()


class MemoryFile(io.BytesIO):
    """An in-memory file whose name makes Keras accept it as a weights file."""

    def __str__(self) -> str:
        return "memory.weights.h5"


def write_hdf5(path: Path, write: Callable[[MemoryFile], object]) -> None:
    """Replace an HDF5 file atomically; the content is built in memory first.

    On a full disk or quota, HDF5 crashes the process when it flushes its buffers at close. Writing the finished bytes
    ourselves turns that into an OSError.

    Args:
        path: Target file.
        write: Writes the whole content to the in-memory file it is given.
    """
    memory = MemoryFile()
    write(memory)
    write_atomic(path, lambda temporary: temporary.write_bytes(memory.getbuffer()))


def write_text(path: Path, text: str) -> None:
    """Replace a text file atomically (UTF-8)."""
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, data: Any) -> None:
    """Replace a JSON file atomically."""
    write_text(path, json.dumps(data, indent=1) + "\n")


def sync_folder(folder: Path) -> None:
    """Fsync a folder, so that a rename or removal in it survives a power cut."""
    if os.name == "nt":  # Windows cannot open folders, and does not need to
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_temp_files(folder: Path) -> None:
    """Remove the unfinished files that a kill left behind; no other process may be writing to the folder."""
    for path in folder.glob(f"{TEMP_PREFIX}*"):
        path.unlink(missing_ok=True)


def disk_is_full(error: BaseException) -> bool:
    """Return whether an error, or one in its chain of causes, says that the disk or quota is full.

    Libraries wrap a failed write in different exceptions; the operating system's message is the common part.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in DISK_FULL_ERRNOS:
            return True
        if any(os.strerror(number) in str(cause) for number in DISK_FULL_ERRNOS):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
