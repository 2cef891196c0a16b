import os

import pytest

from fer_search.files import UnsafeFileError, open_regular, read_bytes, write_atomic, write_json, write_text


def test_a_failed_write_keeps_the_old_content_and_leaves_no_files(tmp_path):
    path = tmp_path / "run.json"
    write_text(path, "old")

    def fail(beside):
        beside.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_is_atomic_and_keeps_the_suffixes(tmp_path):
    path = tmp_path / "epoch_0001.weights.h5"
    seen = []
    write_atomic(path, lambda beside: (seen.append(beside.name), beside.write_bytes(b"new")))
    assert path.read_bytes() == b"new"
    assert seen[0].endswith(".weights.h5")
    write_json(tmp_path / "a.json", {"b": 1})
    assert (tmp_path / "a.json").read_text() == '{\n "b": 1\n}\n'


@pytest.mark.parametrize("size", [0, 3, 10, 11])
def test_a_file_is_read_whole_although_its_size_is_out_of_date(tmp_path, monkeypatch, size):
    """Files of /proc have size 0, and a log may grow while it is read."""
    path, status = tmp_path / "log", os.fstat
    path.write_bytes(b"0123456789")

    def outdated(descriptor):
        fields = list(status(descriptor))
        fields[6] = size
        return os.stat_result(fields)

    monkeypatch.setattr(os, "fstat", outdated)
    assert read_bytes(path) == b"0123456789"


def test_no_more_of_a_file_is_read_than_allowed(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"0123456789")
    assert read_bytes(path, limit=10) == b"0123456789"
    with pytest.raises(UnsafeFileError, match="10 bytes, more than the 9"):
        read_bytes(path, limit=9)


@pytest.mark.parametrize("flags", [os.O_RDWR, os.O_WRONLY | os.O_APPEND, os.O_WRONLY | os.O_CREAT | os.O_TRUNC])
def test_a_hard_link_is_read_but_not_written_to(tmp_path, flags):
    path, other = tmp_path / "log", tmp_path / "thesis.txt"
    other.write_bytes(b"precious")
    os.link(other, path)
    assert read_bytes(path) == b"precious"
    with pytest.raises(UnsafeFileError, match=r"log has another name \(a hard link\)"):
        open_regular(path, flags)
    assert other.read_bytes() == b"precious"
    other.unlink()  # now it has one name
    os.close(open_regular(path, flags))
    assert path.read_bytes() == (b"" if flags & os.O_TRUNC else b"precious")
