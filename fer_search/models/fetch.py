"""Downloading one file: with progress on stderr, verified, gone on with once where the connection broke."""

from __future__ import annotations

import hashlib
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from fer_search.errors import UserError
from fer_search.files import write_atomic

TIMEOUT_SECONDS = 20.0  # without a byte
BLOCK_BYTES = 1 << 18


def fetch(url: str, target: Path, digest: str | None = None) -> None:
    """Download a file and put it in place once it is whole.

    A connection that breaks is taken up once, where it broke if the server can do that; a file with a wrong hash is
    downloaded once more from the start.

    Args:
        url: http or https.
        target: where to; its folder is made.
        digest: md5 or sha256 that the file must have, hex.

    Raises:
        UserError: the file cannot be had; the message says why.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(target.name, total=None)
            write_atomic(target, lambda part: _try_twice(url, part, digest, progress, task))
    except (OSError, HTTPException) as error:
        raise UserError(f"{url} could not be downloaded ({_reason(error)})") from error


def has_digest(path: Path, digest: str) -> bool:
    """Return whether a file has an md5 or sha256, which their lengths tell apart."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256" if len(digest) == 64 else "md5").hexdigest() == digest


def _try_twice(url: str, part: Path, digest: str | None, progress: Progress, task: TaskID) -> None:
    try:
        _receive(url, part, digest, progress, task)
    except HTTPError:  # the server's last word, unlike a connection that broke
        raise
    except (OSError, HTTPException):
        _receive(url, part, digest, progress, task)


def _receive(url: str, part: Path, digest: str | None, progress: Progress, task: TaskID) -> None:
    """Download what is missing of a file."""
    done = part.stat().st_size
    with urlopen(
        Request(url, headers={"Range": f"bytes={done}-"} if done else {}), timeout=TIMEOUT_SECONDS
    ) as response:
        if response.status != 206:  # the whole file, whatever was asked for
            done = 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        progress.update(task, total=total)
        with part.open("r+b") as file:
            file.seek(done)
            file.truncate()
            while block := response.read(BLOCK_BYTES):
                file.write(block)
                done += len(block)
                progress.update(task, completed=done)
    if total is not None and done < total:
        raise ConnectionError(f"the connection broke after {done:,} of {total:,} bytes")
    if digest is not None and not has_digest(part, digest):
        part.write_bytes(b"")
        raise OSError("the file that came has not the hash that it should have")


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):
        return f"HTTP {error.code} {error.reason}"
    if isinstance(error, URLError):
        return f"no connection: {error.reason}"
    return str(error) or type(error).__name__
