"""Crash-safe file writes: after a kill or power cut at any instant a file holds its old or its new content.

And guarded reads: only regular files, never through a symbolic link, never more than a limit.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import stat
import tempfile
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

TEMP_PREFIX = ".part-"  # file names of unfinished writes start with this
DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
_guards: list[Callable[[], None]] = []
# what the system says of a file that is no fault of who reads or writes it: disk, file system, limits
STORAGE_ERRNOS = (*DISK_FULL_ERRNOS, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.EINTR)


MAX_TEXT_BYTES = 512 << 20  # of a JSON or csv file of a run folder; 50,000 trials have oracle.json files of 50 MB


class UnsafeFileError(OSError):
    """A path is not what it should be: a symbolic link, folder, FIFO or device, too large, or not ours to write to."""

    def __str__(self) -> str:
        return str(self.args[0])


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file without following a symbolic link, and without waiting for a FIFO; return its descriptor.

    Args:
        path: The file.
        flags: Flags of ``os.open``.

    Raises:
        UnsafeFileError: It is anything but a regular file; or it is to be written to, and has a second name.
        OSError: It cannot be opened.
    """
    truncated, flags = flags & os.O_TRUNC, flags & ~os.O_TRUNC  # only once it is known to be ours
    guards = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(path, flags | guards | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        if (kind := irregular_kind(path)) is not None:
            raise UnsafeFileError(f"it is {kind}, not a file") from error
        raise
    try:
        _check_opened(path, os.fstat(descriptor), writing=bool(flags & (os.O_WRONLY | os.O_RDWR)))
        if truncated:
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_opened(path: Path, status: os.stat_result, writing: bool) -> None:
    """Refuse an open file that is not regular, or that may lie outside the folder under another name."""
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeFileError(f"it is {irregular_kind(path) or 'a device'}, not a file")
    if writing and status.st_nlink > 1:  # its other name may be a file that has nothing to do with fer-search
        raise UnsafeFileError(f"{path} has another name (a hard link) that would change too: replace it by a copy")


def irregular_kind(path: Path) -> str | None:
    """Return what a path is if it is no regular file, in words; None for a regular file and if there is nothing."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return None
    kinds = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFREG: None}
    return kinds.get(stat.S_IFMT(mode), "a device or socket")


def read_bytes(path: Path, limit: int = MAX_TEXT_BYTES) -> bytes:
    """Return the content of a regular file.

    Raises:
        UnsafeFileError: It is no regular file, or larger than ``limit`` bytes.
        OSError: It cannot be read.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise UnsafeFileError(f"it has {size:,} bytes, more than the {limit:,} that such a file may have")
        content = file.read(min(size + 1, limit))  # reading up to the limit would allocate as much, each time
        return content if len(content) <= size else content + file.read(limit - len(content))


def read_text(path: Path, limit: int = MAX_TEXT_BYTES) -> str:
    """Return the text of a regular UTF-8 file, without the byte order mark and CRLF line ends that editors leave.

    Raises:
        UnsafeFileError: It is no regular file, or larger than ``limit`` bytes.
        OSError: It cannot be read.
        UnicodeDecodeError: It is not UTF-8.
    """
    return read_bytes(path, limit).decode("utf-8-sig").replace("\r\n", "\n")


def read_array_header(file: IO[bytes]) -> tuple[tuple[int, ...], Any]:
    """Return the shape and dtype in the header of an .npy file, of any version.

    Raises:
        ValueError: It is damaged.
    """
    import numpy as np  # only where arrays are read: a command's help must not load it

    read = {(1, 0): np.lib.format.read_array_header_1_0}.get(np.lib.format.read_magic(file))
    try:
        shape, _, dtype = (read or np.lib.format.read_array_header_2_0)(file)
    except (SyntaxError, tokenize.TokenError, TypeError) as error:  # NumPy parses it as Python
        raise ValueError(f"an array's header is damaged ({error})") from error
    return shape, dtype


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Replace a file atomically: write a temporary file beside it, fsync it, rename it over the target.

    Args:
        path: Target file; its folder must exist.
        write: Writes the whole content to the temporary path it is given, which has the target's suffixes.
    """
    with _replacement(path) as (handle, temporary):
        os.close(handle)
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())


def write_bytes(path: Path, *parts: bytes | memoryview) -> None:
    """Replace a file atomically by the concatenated parts."""
    with _replacement(path) as (handle, _), os.fdopen(handle, "wb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _replacement(path: Path) -> Iterator[tuple[int, Path]]:
    """Yield a new file, open, and its path; it replaces ``path`` if it could be written and synced."""
    handle, name = tempfile.mkstemp(prefix=TEMP_PREFIX, suffix="".join(path.suffixes), dir=path.parent)
    temporary = Path(name)
    try:
        yield handle, temporary
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


def write_hdf5(
    path: Path, write: Callable[[MemoryFile], object], seal: Callable[[memoryview], bytes] | None = None
) -> None:
    """Replace an HDF5 file atomically; the content is built in memory first.

    On a full disk or quota, HDF5 crashes the process when it flushes its buffers at close. Writing the finished bytes
    ourselves turns that into an OSError.

    Args:
        path: Target file.
        write: Writes the whole content to the in-memory file it is given.
        seal: Returns bytes to append to the content, which HDF5 ignores; see ``runfolder.seal``.
    """
    memory = MemoryFile()
    write(memory)
    content = memory.getbuffer()
    write_bytes(path, content, b"" if seal is None else seal(content))


def write_text(path: Path, text: str) -> None:
    """Replace a text file atomically (UTF-8)."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


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


def storage_failed(error: BaseException) -> bool:
    """Return whether an error, or one in its chain of causes, says that a disk is full, or fails in another way.

    Libraries wrap a failed write in different exceptions; the operating system's message is the common part.
    """
    return _storage_errno(error) is not None


def describe_storage_failure(error: BaseException, folder: Path) -> str:
    """Return a line for the user about an error of which ``storage_failed`` is true.

    Args:
        error: The error.
        folder: Folder that was written to.
    """
    number = _storage_errno(error)
    if number is None or number in DISK_FULL_ERRNOS:
        return (
            f"no room left on the disk of {folder}; nothing is lost: free some space and re-run the same command to "
            "resume"
        )
    return (
        f"{folder} cannot be read or written ({os.strerror(number)}); nothing is lost: re-run the same command to "
        "resume once the cause is gone"
    )


def _storage_errno(error: BaseException) -> int | None:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in STORAGE_ERRNOS:
            return cause.errno
        for number in STORAGE_ERRNOS:
            if os.strerror(number) in str(cause):
                return number
        cause = cause.__cause__ or cause.__context__
    return None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
