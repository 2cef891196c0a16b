"""The .npz files of run folders: nothing is unpacked beyond the bound, however they are made."""

import io
import struct
import zipfile

import numpy as np
import pytest

from fer_search.files import UnsafeFileError
from fer_search.runfolder.arrays import NPZ_ERRORS, read_npz


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def write(path, content, method=zipfile.ZIP_DEFLATED, start=b""):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.npy", content)
    path.write_bytes(start + path.read_bytes())
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read(tmp_path, save):
    save(tmp_path / "a.npz", a=np.arange(3))
    with read_npz(tmp_path / "a.npz") as arrays:
        assert arrays["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(tmp_path, method):
    path = write(tmp_path / "a.npz", npy(np.arange(3)), method)
    with pytest.raises(UnsafeFileError, match=r"a\.npy in it is compressed in a way"), read_npz(path):
        pass


def test_a_file_that_begins_like_an_npy_is_read_as_npz(tmp_path):
    path = write(tmp_path / "a.npz", npy(np.arange(3)), start=npy(np.zeros(5)))
    with read_npz(path) as arrays:
        assert arrays["a"].tolist() == [0, 1, 2]


def test_claims_beyond_the_bound_are_refused(tmp_path):
    path = write(tmp_path / "a.npz", npy(np.zeros(1000)))
    with pytest.raises(UnsafeFileError, match="more than 1,000"), read_npz(path, limit=1000):
        pass
    header = (
        b"\x93NUMPY\x02\x00" + struct.pack("<I", 100_000) + b" " * 100_000
    )  # read whole, were it not for its length
    with pytest.raises(NPZ_ERRORS, match="EOF"), read_npz(write(tmp_path / "b.npz", header)):
        pass
