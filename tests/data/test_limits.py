"""Malicious data sets: bombs, false headers, FIFOs and devices are refused before memory is allocated."""

import gzip
import io
import os
import resource
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from fer_search.data import limits
from fer_search.data.load import load_dataset
from fer_search.errors import UserError

MB = 1 << 20


@pytest.fixture(autouse=True)
def low_limit(monkeypatch, tmp_path):
    """Lower the limit from 8 GB to 8 MB, so that a 64 MB bomb can stand for a 64 GB one."""
    monkeypatch.setenv(limits.VARIABLE, "8MB")
    monkeypatch.setenv("FER_SEARCH_CACHE", str(tmp_path / "cache"))


def refusal_message(path):
    """Load a data set that must be refusal_message without allocating the bomb's memory; return the error message."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError) as error:
        load_dataset(str(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 48 * 1024  # KiB
    assert "\n" not in str(error.value)
    assert path.name in str(error.value)
    return str(error.value)


def header(shape, dtype="|u1"):
    """Return the header of an .npy file."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def write_npz(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def csv_bomb(lines=True):
    row = b"0," + b"0 " * 2303 + b"0,Training\n"
    return b"emotion,pixels,Usage\n" + (row * (64 * MB // len(row)) if lines else b"0," + b"0 " * (32 * MB))


def test_a_gz_bomb_is_refused(tmp_path):
    path = tmp_path / "fer2013.csv.gz"
    path.write_bytes(gzip.compress(csv_bomb(), 1))
    assert limits.VARIABLE in refusal_message(path)


def test_a_gz_bomb_without_line_breaks_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_LINE_BYTES", MB)
    path = tmp_path / "fer2013.csv.gz"
    path.write_bytes(gzip.compress(b"emotion,pixels,Usage" * (3 * MB), 1))
    refusal_message(path)
    path.write_bytes(gzip.compress(csv_bomb(lines=False), 1))
    refusal_message(path)


@pytest.mark.parametrize("name", ["fer2013.csv", "train/angry/a.png", "fer2013.npz"])
def test_a_zip_bomb_is_refused(tmp_path, name):
    path = write_npz(tmp_path / "bomb.zip", {name: bytes(64 * MB)})
    assert limits.VARIABLE in refusal_message(path)


def test_a_tar_bomb_is_refused(tmp_path):
    path = tmp_path / "bomb.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        member = tarfile.TarInfo("other.bin")
        member.size = 64 * MB
        archive.addfile(member, io.BytesIO(bytes(64 * MB)))
    assert limits.VARIABLE in refusal_message(path)


def test_arrays_with_excessive_real_or_declared_size_are_refused(tmp_path):
    expands = {"x_train.npy": header((30000, 48, 48)) + bytes(30000 * 2304), "y_train.npy": header((1,)) + b"\0"}
    assert limits.VARIABLE in refusal_message(write_npz(tmp_path / "expands.npz", expands))
    claims = {"x_train.npy": header((10**9, 48, 48)) + bytes(100), "y_train.npy": header((1,)) + b"\0"}
    assert limits.VARIABLE in refusal_message(write_npz(tmp_path / "claims.npz", claims))
    short = {"x_train.npy": header((1000, 48, 48)) + bytes(100), "y_train.npy": header((1000,)) + bytes(1000)}
    assert "claims" in refusal_message(write_npz(tmp_path / "short.npz", short))
    negative = {"x_train.npy": header((-5, 48, 48)) + bytes(100), "y_train.npy": header((1,)) + b"\0"}
    refusal_message(write_npz(tmp_path / "negative.npz", negative))


@pytest.mark.parametrize("pillows_limit", [10**6, 3 * 10**6, None])  # an error, a warning, nothing
def test_an_image_bomb_is_refused(tmp_path, monkeypatch, recwarn, pillows_limit):
    monkeypatch.setattr(limits, "MAX_PIXELS", 10**6)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillows_limit)
    (tmp_path / "data" / "train" / "angry").mkdir(parents=True)
    Image.fromarray(np.zeros((2000, 2000), np.uint8)).save(tmp_path / "data" / "train" / "angry" / "big.png")
    with pytest.raises(UserError, match=r"big\.png has 2,000 x 2,000 pixels"):
        load_dataset(str(tmp_path / "data"))
    assert list(recwarn) == []


@pytest.mark.parametrize("name", ["fer2013.csv", "fer2013.npz", "fer2013.zip", "data.csv.gz", "list.txt"])
def test_a_fifo_is_refused_without_hanging(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert "FIFO" in refusal_message(tmp_path / name)


def test_a_fifo_among_image_files_is_refused(tmp_path):
    (tmp_path / "data" / "train" / "angry").mkdir(parents=True)
    os.mkfifo(tmp_path / "data" / "train" / "angry" / "a.png")
    with pytest.raises(UserError, match=r"a\.png"):
        load_dataset(str(tmp_path / "data"))


def test_a_device_is_refused(tmp_path):
    (tmp_path / "fer2013.csv").symlink_to("/dev/zero")
    assert "device" in refusal_message(tmp_path / "fer2013.csv")


def test_a_symlinked_data_set_is_read(tmp_path):
    (tmp_path / "real.csv").write_bytes(b"no header\n")
    (tmp_path / "fer2013.csv").symlink_to(tmp_path / "real.csv")
    with pytest.raises(UserError, match="no column"):
        load_dataset(str(tmp_path / "fer2013.csv"))


def test_the_size_limit_is_configurable(monkeypatch):
    for text, size in {"20GB": 20 * 10**9, "1.5 tb": 1500 * 10**9, "500": 500, "": limits.DEFAULT_BYTES}.items():
        monkeypatch.setenv(limits.VARIABLE, text)
        assert limits.max_bytes() == size
    for text in ("much", "-1GB", "0", "1e99"):
        monkeypatch.setenv(limits.VARIABLE, text)
        with pytest.raises(UserError, match=limits.VARIABLE):
            limits.max_bytes()
