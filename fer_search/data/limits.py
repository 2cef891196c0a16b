"""Bounds on what is read of a data set: a downloaded file may be damaged, or made to exhaust memory.

A small archive can unpack to terabytes, and a header can claim any size. Sizes are therefore bounded before memory is
taken, by what an archive declares, and again while it is unpacked, by what it really holds. ``FER_SEARCH_MAX_DATA``
raises the bound ("20GB"); the error names it.
"""

from __future__ import annotations

import io
import math
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from fer_search.errors import UserError
from fer_search.files import UnsafeFileError, open_regular, read_array_header

VARIABLE = "FER_SEARCH_MAX_DATA"
DEFAULT_BYTES = 8 * 10**9  # unpacked, of a whole data set; FER2013's csv has 0.3 GB
MAX_IMAGE_BYTES = 64 << 20  # of one image file
MAX_ARRAY_HEADER = 1 << 16  # bytes of the header of an .npy file; NumPy refuses to parse more than 10,000 characters
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile unpacks the others without a limit
MAX_LINE_BYTES = 64 << 20  # of a csv file; an image of 1,000 x 1,000 pixels has 4 million
MAX_PIXELS = 64_000_000  # of one image; a photo of a phone has 12 to 50 million
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def max_bytes() -> int:
    """Return the bound on the unpacked size of a data set, in bytes.

    Raises:
        UserError: $FER_SEARCH_MAX_DATA is not a size.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return DEFAULT_BYTES
    match = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,6})?)\s*([kmgt]?)b?\s*", text.lower())
    if match is None or not (size := int(float(match[1]) * UNITS[match[2]])):
        raise UserError(f"{VARIABLE}={text}: not a size; give one such as 20GB")
    return size


def check_size(size: int, name: str) -> None:
    """Refuse a declared size beyond the bound.

    Args:
        size: Bytes.
        name: What has this size, for the message.

    Raises:
        UserError: It is too large.
    """
    if size > (limit := max_bytes()):
        raise UserError(
            f"{name} has {_readable(size)}, more than {_readable(limit)}; if that is right, set {VARIABLE} higher "
            f"({VARIABLE}={max(size // 10**9 + 1, 1)}GB)"
        )


def open_file(path: Path) -> IO[bytes]:
    """Open a regular file for reading; links are followed, since data sets are often linked.

    Raises:
        UserError: It is a FIFO, device or folder, or larger than the bound.
        OSError: It cannot be opened.
    """
    try:
        file = os.fdopen(open_regular(Path(os.path.realpath(path))), "rb")
    except UnsafeFileError as error:
        raise UserError(f"{path} cannot be read: {error}; give --data a file or a folder") from error
    check_size(os.fstat(file.fileno()).st_size, str(path))
    return file


def read_picture(path: Path) -> bytes:
    """Return the content of an image file.

    Raises:
        UserError: It is no regular file, or larger than MAX_IMAGE_BYTES.
        OSError: It cannot be read.
    """
    with open_file(path) as file:
        check_picture(os.fstat(file.fileno()).st_size, str(path))
        return file.read()


def check_picture(size: int, name: str) -> None:
    """Raise a UserError if an image file has more than MAX_IMAGE_BYTES, wherever it is stored."""
    if size > MAX_IMAGE_BYTES:
        raise UserError(f"{name} has more than {_readable(MAX_IMAGE_BYTES)}; replace or remove it")


class Total:
    """Adds up what the parts of a data set take, and refuses more than the bound.

    Args:
        name: Name of the data set in messages.
    """

    def __init__(self, name: str) -> None:
        self.name, self.bytes = name, 0

    def add(self, size: int) -> None:
        """Add a part, before memory is taken for it.

        Args:
            size: Bytes.

        Raises:
            UserError: All parts so far are too large together.
        """
        self.bytes += size
        check_size(self.bytes, f"{self.name}, unpacked,")


def read_lines(stream: IO[bytes], path: str) -> Iterator[bytes]:
    """Yield the lines of a text file, with their ends.

    Raises:
        UserError: One is longer than MAX_LINE_BYTES.
    """
    while line := read_line(stream, path):
        yield line


def read_line(stream: IO[bytes], path: str) -> bytes:
    """Return the next line of a csv file.

    Raises:
        UserError: It is longer than MAX_LINE_BYTES.
    """
    line = stream.readline(MAX_LINE_BYTES + 1)
    check_line(len(line), path)
    return line


def check_line(size: int, path: str) -> None:
    """Raise a UserError if a line of a csv file is longer than MAX_LINE_BYTES."""
    if size > MAX_LINE_BYTES:
        raise UserError(f"{path}: a line has more than {_readable(MAX_LINE_BYTES)}; it is no csv file of images")


class BoundedReader(io.RawIOBase):
    """A stream that refuses to give more bytes than the bound, whatever was declared.

    Args:
        file: Unpacks as it is read.
        name: Name for messages.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.file, self.name, self.count, self.limit = file, name, 0, max_bytes()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self.file.read(len(buffer))
        buffer[: len(block)] = block
        self.count += len(block)
        if self.count > self.limit:
            raise UserError(
                f"{self.name} unpacks to more than {_readable(self.limit)}; if that is right, set {VARIABLE} higher"
            )
        return len(block)


def bounded(file: IO[bytes], name: str) -> IO[bytes]:
    """Return a stream as a buffered one that stops at the bound with a UserError."""
    return io.BufferedReader(BoundedReader(file, name), 1 << 20)


def check_archive(archive: zipfile.ZipFile, path: Path | str) -> None:
    """Refuse a zip file whose members, by their declared sizes, unpack to more than the bound.

    ``zipfile`` never gives more of a member than it declares. It allocates no more either, provided that the member is
    compressed in one of COMPRESSIONS, and read with a size.

    Raises:
        UserError: They do, or one is compressed in another way.
    """
    if (name := oddly_compressed(archive)) is not None:
        raise UserError(
            f"{path}: {name} is compressed in an unusual way; unpack it, or pack it again as an ordinary zip file"
        )
    check_size(sum(member.file_size for member in archive.infolist()), f"{path}, unpacked,")


def oddly_compressed(archive: zipfile.ZipFile) -> str | None:
    """Return the name of a member that cannot be unpacked piece by piece (see COMPRESSIONS); None if all can."""
    return next((info.filename for info in archive.infolist() if info.compress_type not in COMPRESSIONS), None)


def read_member(archive: zipfile.ZipFile, name: str, path: Path | str, limit: int | None = None) -> bytes:
    """Return the content of a member of a zip file.

    Args:
        archive: The zip file.
        name: Name of the member.
        path: The zip file's name for messages.
        limit: Maximum of bytes; None for the bound.

    Raises:
        UserError: It is larger.
    """
    size = archive.getinfo(name).file_size
    check_size(size, f"{path}/{name}, unpacked,")
    if limit is not None and size > limit:
        raise UserError(f"{path}/{name} has {_readable(size)}, more than {_readable(limit)}; replace or remove it")
    with archive.open(name) as file:
        return file.read(size)  # without a size, zipfile unpacks up to 2 GiB before it looks at what was declared


def member_header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and dtype of an .npy file in a zip file, by its header.

    Raises:
        ValueError: The header is damaged, or longer than MAX_ARRAY_HEADER.
    """
    with archive.open(name) as file:  # not read from directly: a header claims its own length, which may be gigabytes
        return read_array_header(io.BytesIO(file.read(MAX_ARRAY_HEADER)))


def check_arrays(arrays: np.lib.npyio.NpzFile, path: str) -> None:
    """Refuse an .npz file whose arrays, by their headers, are larger than the bound; NumPy allocates before it reads.

    Raises:
        UserError: They are.
        ValueError: A header is damaged.
    """
    archive, total = arrays.zip, 0
    assert archive is not None  # until it is closed
    check_archive(archive, path)
    for member in archive.namelist():
        if not member.endswith(".npy"):
            continue
        size = array_bytes(*member_header(archive, member), member)
        total += size
        check_size(total, f"{path}: {member}")
        stored = archive.getinfo(member).file_size
        if size > stored:
            raise ValueError(f"{member} claims {_readable(size)} and has {_readable(stored)}")


def array_bytes(shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> int:
    """Return the size of an array in bytes, by its header.

    Raises:
        ValueError: The shape is invalid.
    """
    if any(length < 0 for length in shape):
        raise ValueError(f"{name} has the shape {shape}")
    return math.prod(shape) * dtype.itemsize


def check_pixels(width: int, height: int, name: str) -> None:
    """Refuse an image with more than MAX_PIXELS pixels, before it is decoded.

    Raises:
        UserError: It has.
    """
    if width * height > MAX_PIXELS:
        raise UserError(f"{name} has {width:,} x {height:,} pixels, more than {MAX_PIXELS:,}; replace or remove it")


def _readable(size: int) -> str:
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size:,} bytes"
