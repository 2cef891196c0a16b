"""The members of a tar file, plain or compressed with gzip, read in one pass and within bounds.

``tarfile`` reads long names and pax headers as a whole, of whatever size they claim, before it says that there is a
member; and it unpacks in steps that grow with the compression. So it gets a stream that counts while it reads headers.
"""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Iterator
from typing import IO, Any

from fer_search.data.limits import Total, bounded
from fer_search.errors import UserError

MAX_HEADER = 1 << 16  # bytes of a member's headers: its name, times, attributes; seldom more than 2,000
STEP = 1 << 20  # bytes of a member read at a time while it is passed over
PACKED = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
TarError = tarfile.TarError


class _Forward:
    """The stream that ``tarfile`` reads from: it goes forward only, and gives no more than MAX_HEADER of headers.

    Args:
        file: The unpacked tar file.
        name: Name for messages.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self._name, self._position = file, name, 0
        self.left: int | None = MAX_HEADER  # that may be read of headers; None while a member's content is read

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes; a UserError if these are too many for a header."""
        if size < 0:
            raise tarfile.ReadError("a header claims a negative size")
        if self.left is not None:
            self.left -= size
            if self.left < 0:
                raise UserError(
                    f"{self._name}: a member's header has more than {MAX_HEADER:,} bytes; it is no archive of images"
                )
        block = self._file.read(size)
        self._position += len(block)
        return block

    def tell(self) -> int:
        """Return the number of bytes read."""
        return self._position

    def seek(self, position: int) -> int:
        """Pass over bytes; the end of the file is found by the next ``read``."""
        if position < self._position:
            raise tarfile.StreamError("a header claims a negative size")
        while self._position < position and (block := self._file.read(min(position - self._position, STEP))):
            self._position += len(block)
        return self._position

    def seekable(self) -> bool:
        """Return that it is a stream."""
        return False


def tar_members(file: IO[bytes], path: str) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Yield the files in a tar file, each with its content, which must be read before the next one is asked for.

    Args:
        file: At its beginning; compressed or not.
        path: Its name in messages.

    Raises:
        UserError: The members are larger than the bound, or a header is larger than MAX_HEADER.
        TarError, OSError, EOFError, zlib.error: It is damaged.
    """
    stream = _Forward(_unpacked(file, path), path)
    source: Any = stream  # has as much of a file as tarfile needs
    total = Total(path)
    with _headers(lambda: tarfile.open(fileobj=source, mode="r:")) as archive:
        while (member := _headers(archive.next)) is not None:
            archive.members.clear()  # it keeps all, with their headers
            if sum(len(key) + len(value) for key, value in archive.pax_headers.items()) > MAX_HEADER:
                raise UserError(f"{path}: it has more than {MAX_HEADER:,} bytes of headers for all members")
            if member.size < 0:
                raise tarfile.ReadError("a header claims a negative size")
            total.add(member.size)
            if member.isreg():
                if member.sparse is not None:  # its map of holes has no bound, and may lead nowhere
                    raise UserError(f"{path}/{member.name} is stored as a sparse file; pack it again without --sparse")
                stream.left = None
                data = archive.extractfile(member)
                assert data is not None  # it is a regular file
                yield member, data
            stream.left = MAX_HEADER


def _headers(read: Any) -> Any:
    """Return what ``read`` returns; what ``tarfile`` lets pass of damaged headers becomes a TarError."""
    try:
        return read()
    except (ValueError, LookupError, OverflowError, RecursionError) as error:
        raise tarfile.ReadError(f"a header is damaged: {error}") from error


def _unpacked(file: Any, path: str) -> IO[bytes]:
    start = file.peek(6)[:6]
    for magic, name in PACKED.items():
        if start.startswith(magic):
            raise UserError(f"{path} is compressed with {name}; unpack it, or pack it again as .tar.gz")
    return bounded(gzip.open(file), path) if start.startswith(b"\x1f\x8b") else file  # type: ignore[arg-type]
