"""Archives, tables and arrays that unpack to far more than they declare, or that make their readers do so."""

import io
import os
import struct
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pytest
from PIL import Image

from fer_search.data import limits
from fer_search.data.images import decode
from fer_search.data.load import load_dataset
from fer_search.errors import UserError

MB = 1 << 20


@pytest.fixture(autouse=True)
def low_limit(monkeypatch, tmp_path):
    """Lower the limit from 8 GB to 2 MB, so that the data sets here can be small."""
    monkeypatch.setenv(limits.VARIABLE, "2MB")
    monkeypatch.setenv("FER_SEARCH_CACHE", str(tmp_path / "cache"))


def refusal(path, peak=4 * MB):
    """Load a data set that must be refused within some memory; return the error message."""
    tracemalloc.start()
    try:
        with pytest.raises(UserError) as error:
            load_dataset(str(path))
        assert tracemalloc.get_traced_memory()[1] < peak
    finally:
        tracemalloc.stop()
    assert path.name in str(error.value)
    return str(error.value)


def png(side=48):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("name", ["train/angry/a.png", "fer2013.csv", "x_train.npy"])
def test_a_compression_that_zipfile_unpacks_without_limit_is_refused(tmp_path, method, name):
    with zipfile.ZipFile(tmp_path / "data.zip", "w", method) as archive:
        archive.writestr(name, bytes(100))
    assert "compressed in an unusual way" in refusal(tmp_path / "data.zip")


@pytest.mark.parametrize("name", ["train/angry/a.png", "data.npz"])
def test_a_zip_member_larger_than_declared_is_not_unpacked_whole(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, bytes(4 * MB))
    content = bytearray((tmp_path / "data.zip").read_bytes())
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, 100)  # the size in the directory
    (tmp_path / "data.zip").write_bytes(content)
    assert "whole" in refusal(tmp_path / "data.zip", peak=2 * MB)


def test_an_npz_member_that_is_no_array_is_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train", bytes(MB))
        archive.writestr("y_train.npy", npy(np.zeros(1, int)))
    assert "x_train in it is no array" in refusal(tmp_path / "data.npz", peak=MB)


def test_an_npz_that_begins_like_an_npy_is_read_as_npz(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("other.npy", npy(np.zeros(1, int)))
    (tmp_path / "data.npz").write_bytes(npy(np.zeros(3)) + (tmp_path / "data.npz").read_bytes())
    assert "no arrays x_train and y_train in it, but other" in refusal(tmp_path / "data.npz")


def test_an_array_header_of_any_length_is_not_read_whole(tmp_path):
    header = b"\x93NUMPY\x02\x00" + struct.pack("<I", MB) + b" " * MB
    with zipfile.ZipFile(tmp_path / "data.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", header)
        archive.writestr("y_train.npy", npy(np.zeros(1, int)))
    refusal(tmp_path / "data.npz", peak=MB)


def write_tar(path, mode="w:gz", form=tarfile.PAX_FORMAT, **fields):
    """Write a tar file with one picture, whose member has other fields."""
    with tarfile.open(path, mode, format=form) as archive:
        member = tarfile.TarInfo("train/angry/a.png")
        member.size = len(png())
        for name, value in fields.items():
            setattr(member, name, value)
        archive.addfile(member, io.BytesIO(png()))
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize(
    ("form", "fields"),
    [
        (tarfile.PAX_FORMAT, {"pax_headers": {"comment": "x" * MB}}),
        (tarfile.GNU_FORMAT, {"name": "x" * MB}),
        (tarfile.GNU_FORMAT, {"linkname": "x" * MB}),
    ],
)
def test_a_long_tar_header_is_refused(tmp_path, mode, form, fields):
    path = write_tar(tmp_path / ("data.tar.gz" if mode == "w:gz" else "data.tar"), mode, form, **fields)
    assert "a member's header has more than 65,536 bytes" in refusal(path, peak=6 * MB)


def test_many_short_tar_headers_are_refused(tmp_path):
    header = tarfile.TarInfo("x")
    header.type = tarfile.GNUTYPE_LONGNAME
    (tmp_path / "chain.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) * 2000)
    assert "header" in refusal(tmp_path / "chain.tar")
    with tarfile.open(tmp_path / "global.tar", "w") as archive:
        for number in range(3):
            extra = tarfile.TarInfo.create_pax_global_header({f"key{number}": "x" * 30_000})
            archive.fileobj.write(extra + tarfile.TarInfo("folder/notes.txt").tobuf())
    assert "headers for all members" in refusal(tmp_path / "global.tar")


def test_a_tar_header_with_a_negative_size_or_wrong_numbers_is_damaged(tmp_path):
    header = bytearray(tarfile.TarInfo("train/angry/a.png").tobuf())
    header[124:136] = b"\xff" * 11 + b"\x00"
    header[148:156] = b"%06o\0 " % (256 + sum(header[:148]) + sum(header[156:]))
    (tmp_path / "negative.tar").write_bytes(header + bytes(2048))
    assert "is not a whole .tar file" in refusal(tmp_path / "negative.tar")
    path = write_tar(tmp_path / "data.tar", "w", pax_headers={"comment": "x" * 9000})
    path.write_bytes(path.read_bytes().replace(b"9017 comment=", b"9" * 5000 + b" comment=", 1)[:10240])
    assert "is not a whole .tar file" in refusal(path)


@pytest.mark.parametrize("mode", ["w:bz2", "w:xz"])
def test_a_tar_in_another_compression_is_refused(tmp_path, mode):
    assert "pack it again as .tar.gz" in refusal(write_tar(tmp_path / "data.tar", mode))


def test_a_sparse_tar_member_is_refused(tmp_path):
    sparse = {"GNU.sparse.map": "0,1", "GNU.sparse.size": "99", "GNU.sparse.name": "train/angry/a.png"}
    assert "pack it again without --sparse" in refusal(write_tar(tmp_path / "data.tar.gz", pax_headers=sparse))


def write_parquet(path, pictures, **columns):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path.parent.mkdir(exist_ok=True)
    own = {"image": [{"bytes": content, "path": None} for content in pictures], "label": ["angry"] * len(pictures)}
    parquet.write_table(pyarrow.table(own | columns), path)
    return path


def test_a_picture_that_parquet_stores_once_for_all_rows_is_refused(tmp_path):
    path = write_parquet(tmp_path / "train.parquet", [os.urandom(10_000)] * 500)
    assert path.stat().st_size < 20_000
    assert limits.VARIABLE in refusal(path)


def test_parquet_files_are_added_up(tmp_path):
    for name in ("train", "validation", "test"):
        write_parquet(tmp_path / "data" / f"{name}.parquet", [os.urandom(10_000) for _ in range(80)])
    assert limits.VARIABLE in refusal(tmp_path / "data")


def test_parquet_columns_of_other_kinds_are_refused(tmp_path):
    assert "holds no labels, but list" in refusal(write_parquet(tmp_path / "a.parquet", [png()], label=[[0, 1]]))
    assert "holds no bytes of pictures" in refusal(write_parquet(tmp_path / "b.parquet", [png()], image=["a.png"]))


def test_other_parquet_columns_are_not_read(tmp_path):
    path = write_parquet(tmp_path / "train.parquet", [png()] * 8, other=[bytes(MB)] * 8)
    assert limits.VARIABLE not in refusal(path)  # but that there is a single class


@pytest.mark.parametrize("form", ["tar", "zip", "parquet", "folder"])
def test_a_large_picture_is_refused_wherever_it_is_stored(tmp_path, monkeypatch, form):
    monkeypatch.setattr(limits, "MAX_IMAGE_BYTES", 2000)
    monkeypatch.setattr("fer_search.data.archives.MAX_IMAGE_BYTES", 2000)
    assert len(png()) > 2000
    path = tmp_path / f"data.{form}"
    if form == "tar":
        write_tar(path, "w")
    elif form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("train/angry/a.png", png())
    elif form == "parquet":
        write_parquet(path, [png()])
    else:
        (path / "train" / "angry").mkdir(parents=True)
        (path / "train" / "angry" / "a.png").write_bytes(png())
    assert "more than 2,000 bytes" in refusal(path)


@pytest.mark.parametrize("kind", ["EPS", "ICO", "PCX", "TGA"])
def test_only_formats_of_pictures_are_opened(kind):
    buffer = io.BytesIO()
    Image.new("L", (48, 48), 100).save(buffer, kind)
    with pytest.raises(UserError, match=r"^0\.png is cut short or not an image \(no image format is recognised\)"):
        decode(buffer.getvalue(), "0.png", 48)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM", "GIF"])
def test_formats_of_pictures_are_opened_whatever_their_name(kind):
    buffer = io.BytesIO()
    Image.new("L", (48, 48), 100).save(buffer, kind)
    assert abs(int(decode(buffer.getvalue(), "0.png", 48)[0][0, 0]) - 100) < 3
