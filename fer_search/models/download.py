"""Download of one file: progress on stderr, verified, resumed once after a broken connection."""

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

TIMEOUT_SECONDS = 20.0  # without receiving a byte
BLOCK_BYTES = 1 << 18


def download_file(url: str, target: Path, digest: str | None = None) -> None:
    """Download a file and put it in place once it is complete.

    A broken connection is resumed once, at the same byte if the server supports it; a file with the wrong hash is
    downloaded once more from the start.

    Args:
        url: http or https URL.
        target: Destination; its folder is created.
        digest: Expected md5 or sha256, hex.

    Raises:
        UserError: The download failed; the message gives the reason.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(target.name, total=None)
            write_atomic(target, lambda temporary: _try_twice(url, temporary, digest, progress, task))
    except (OSError, HTTPException) as error:
        raise UserError(f"{url} could not be downloaded ({_reason(error)})") from error


def matches_digest(path: Path, digest: str) -> bool:
    """Return whether a file has the given md5 or sha256 (told apart by length)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256" if len(digest) == 64 else "md5").hexdigest() == digest


def _try_twice(url: str, path: Path, digest: str | None, progress: Progress, task: TaskID) -> None:
    try:
        _receive(url, path, digest, progress, task)
    except HTTPError:  # the server's answer is final, unlike a broken connection
        raise
    except (OSError, HTTPException):
        _receive(url, path, digest, progress, task)


def _receive(url: str, path: Path, digest: str | None, progress: Progress, task: TaskID) -> None:
    """Download the missing rest of a file."""
    received = path.stat().st_size
    headers = {"Range": f"bytes={received}-"} if received else {}
    with urlopen(Request(url, headers=headers), timeout=TIMEOUT_SECONDS) as response:
        if response.status != 206:  # the server ignored the range and sends the whole file
            received = 0
        length = response.headers.get("Content-Length")
        total = received + int(length) if length else None
        progress.update(task, total=total)
        with path.open("r+b") as file:
            file.seek(received)
            file.truncate()
            while block := response.read(BLOCK_BYTES):
                file.write(block)
                received += len(block)
                progress.update(task, completed=received)
    if total is not None and received < total:
        raise ConnectionError(f"the connection broke after {received:,} of {total:,} bytes")
    if digest is not None and not matches_digest(path, digest):
        path.write_bytes(b"")
        raise OSError("the downloaded file does not have the expected hash")


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):
        return f"HTTP {error.code} {error.reason}"
    if isinstance(error, URLError):
        return f"no connection: {error.reason}"
    return str(error) or type(error).__name__
