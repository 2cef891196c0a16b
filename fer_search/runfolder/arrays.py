"""Reading the .npz files of a run folder within bounds."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from fer_search.data.limits import member_header, oddly_compressed
from fer_search.files import UnsafeFileError, open_regular

MAX_NPZ_BYTES = 1 << 30  # of all arrays of a file together, unpacked
NPZ_ERRORS = (OSError, EOFError, ValueError, KeyError, IndexError, zipfile.BadZipFile, zlib.error, NotImplementedError)


@contextmanager
def read_npz(path: Path, limit: int = MAX_NPZ_BYTES) -> Iterator[np.lib.npyio.NpzFile]:
    """Open an .npz file without following links, unpickling, or unpacking more than a limit.

    Args:
        path: The file.
        limit: Bytes that its arrays may have together, by the sizes in its directory, which unpacking verifies.

    Raises:
        UnsafeFileError: It is no regular file, larger than the limit, or compressed as NumPy never does.
        zipfile.BadZipFile, ValueError, OSError: It is damaged, also while arrays are read; see ``NPZ_ERRORS``.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        with zipfile.ZipFile(file) as archive:
            size = sum(member.file_size for member in archive.infolist())
            odd = oddly_compressed(archive)
        if odd is not None:  # NumPy writes no others
            raise UnsafeFileError(f"{odd} in it is compressed in a way that cannot be unpacked within bounds")
        if size > limit:
            raise UnsafeFileError(f"its arrays have {size:,} bytes, more than {limit:,}")
        file.seek(0)
        # Not np.load: it would take a file that begins like an .npy file for one, and allocate what that claims.
        with np.lib.npyio.NpzFile(file, allow_pickle=False) as arrays:
            for name in arrays.files:
                _check_header(arrays, name, limit)
            yield arrays


def _check_header(arrays: np.lib.npyio.NpzFile, name: str, limit: int) -> None:
    """Refuse an array whose header claims more than the limit: NumPy allocates before it reads."""
    archive = arrays.zip
    assert archive is not None  # until it is closed
    shape, dtype = member_header(archive, name if name in archive.namelist() else f"{name}.npy")
    size = dtype.itemsize * int(np.prod(np.array(shape, dtype=object))) if shape else dtype.itemsize
    if size > limit or any(length < 0 for length in shape):
        raise UnsafeFileError(f"{name} claims {size:,} bytes, more than {limit:,}")
