"""The lock of a run folder: at most one process writes to it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.files import open_regular, storage_failed
from fer_search.runfolder.guard import check_contained
from fer_search.runfolder.schema import LOCK_FILE

try:
    import fcntl
except ImportError:  # Windows has no fcntl: there the process named in the file holds the folder
    fcntl = None  # type: ignore[assignment]

WAIT_SECONDS = 0.5  # a process that only checks the lock may hold it this long
POLL_SECONDS = 0.02
HELD_SECONDS = 10.0  # after which whoever holds a file for a moment must have been suspended
UNSUPPORTED_ERRNOS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)  # the file system has no flock


@contextlib.contextmanager
def hold_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder. The operating system releases it when the process ends, however it ends.

    Where the file system has no flock, the process named in the lock file holds the folder; a process that is dead, on
    this machine, holds nothing.

    Args:
        folder: Run folder; created if missing.

    Raises:
        UserError: Another process holds it, one of its files is a link or no file (exit code 4), or it is not writable
            (exit code 2).
    """
    with _open_lock(folder) as file:
        if not _acquire(file, time.monotonic() + WAIT_SECONDS):
            holder = f"another fer-search process{_describe_holder(file)}"
            raise UserError(f"{folder} is in use by {holder}; wait for it, or choose another --name", EXIT_RUN_FOLDER)
        own = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        _write(file, json.dumps(own))
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                _write(file, "")


@contextlib.contextmanager
def hold_file(path: Path) -> Iterator[None]:
    """Hold a lock file for a moment, after waiting for whoever holds it; without flock, nothing is held.

    Args:
        path: Created if missing.
    """
    with os.fdopen(open_regular(path, os.O_RDWR | os.O_CREAT), "r+") as file:
        deadline = time.monotonic() + HELD_SECONDS
        while _flock(file, shared=False) is False and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        yield


def is_locked(folder: Path) -> bool:
    """Return whether a process holds the lock of a run folder now."""
    try:
        file = os.fdopen(open_regular(folder / LOCK_FILE), encoding="utf-8", errors="replace")
    except OSError:
        return False
    with file:
        acquired = _flock(file, shared=True)
        return _named_process_is_alive(file) if acquired is None else not acquired


def _open_lock(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_contained(folder)
        return os.fdopen(
            open_regular(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT), "r+", encoding="utf-8", errors="replace"
        )
    except OSError as error:
        if storage_failed(error):
            raise
        reason = error.strerror or error
        raise UserError(f"cannot write to the run folder {folder}: {reason}; choose another --results-dir") from error


def _acquire(file: TextIO, deadline: float) -> bool:
    """Lock a file exclusively; retries until the deadline, since a process may only be checking the lock."""
    while not (acquired := _flock(file, shared=False)):
        if acquired is None:
            return not _named_process_is_alive(file)
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _flock(file: TextIO, shared: bool) -> bool | None:
    """Try to lock a file; None where the system or file system has no flock."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        return None if error.errno in UNSUPPORTED_ERRNOS else False
    return True


def _named_process_is_alive(file: TextIO) -> bool:
    """Return whether the process that a lock file names is alive; one on another machine may be."""
    holder = _read(file)
    return bool(holder) and (holder.get("host") != socket.gethostname() or _is_alive(holder.get("pid")))


def _is_alive(pid: Any) -> bool:
    if os.name == "nt":  # there os.kill(pid, 0) sends Ctrl-C
        return True
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, TypeError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return int(pid) != os.getpid()


def _describe_holder(file: TextIO) -> str:
    holder = _read(file)
    return f" (process {holder.get('pid')} on {holder.get('host')}, since {holder.get('since')})" if holder else ""


def _read(file: TextIO) -> dict[str, Any]:
    file.seek(0)
    try:
        return dict(json.loads(file.read()))
    except (ValueError, TypeError, RecursionError):
        return {}


def _write(file: TextIO, text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()
