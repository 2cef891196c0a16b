import pytest

from fer_search.files import write_atomic, write_json, write_text


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
