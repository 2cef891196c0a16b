"""Writing files so that a kill or a power cut at any instant leaves the old content or the new, never half."""

from __future__ import annotations

import errno
import io
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

PART = ".part-"  # how the names of unfinished files begin
FULL = (errno.ENOSPC, errno.EDQUOT)


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Replace a file whole: written beside it, forced to disk, renamed over it.

    Args:
        path: the file; its folder must exist.
        write: writes the whole content to the path that it is given, which has the same suffixes.
    """
    handle, name = tempfile.mkstemp(prefix=PART, suffix="".join(path.suffixes), dir=path.parent)
    os.close(handle)
    beside = Path(name)
    try:
        write(beside)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.chmod(0o666 & ~_umask())  # mkstemp makes it private
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


class Memory(io.BytesIO):
    """A file in memory; its name lets Keras take it for one of weights."""

    def __str__(self) -> str:
        return "memory.weights.h5"


def write_hdf5(path: Path, write: Callable[[Memory], object]) -> None:
    """Replace an HDF5 file whole, made in memory first.

    HDF5 crashes the process where there is no room for what it keeps back until it closes a file, or no quota; here the
    disk gives an OSError.

    Args:
        path: the file.
        write: writes the whole content to the memory that it is given.
    """
    memory = Memory()
    write(memory)
    write_atomic(path, lambda beside: beside.write_bytes(memory.getbuffer()))


def write_text(path: Path, text: str) -> None:
    """Replace a text file whole (UTF-8)."""
    write_atomic(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def write_json(path: Path, data: Any) -> None:
    """Replace a JSON file whole."""
    write_text(path, json.dumps(data, indent=1) + "\n")


def sync_folder(folder: Path) -> None:
    """Force a folder's list of names to disk, so that a rename or a removal in it outlives a power cut."""
    if os.name == "nt":  # which opens no folders, and has no need to
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_parts(folder: Path) -> None:
    """Remove the unfinished files that a kill left in a folder that no other process writes to."""
    for path in folder.glob(f"{PART}*"):
        path.unlink(missing_ok=True)


def disk_is_full(error: BaseException) -> bool:
    """Whether an error, or what it came from, says that there is no room for a file.

    Libraries report a failed write in several ways; only the system's words are the same in all of them.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in FULL:
            return True
        if any(os.strerror(number) in str(seen) for number in FULL):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
