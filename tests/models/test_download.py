import hashlib

import pytest

from fer_search.errors import UserError
from fer_search.models.download import download_file

BODY = bytes(range(256)) * 4000
MD5, SHA256 = hashlib.md5(BODY).hexdigest(), hashlib.sha256(BODY).hexdigest()


@pytest.mark.parametrize("digest", [None, MD5, SHA256])
def test_a_file_is_downloaded_completely(server, tmp_path, digest, capfd):
    server.files["/a.h5"] = BODY
    download_file(f"{server.url}/a.h5", tmp_path / "new" / "a.h5", digest)
    assert (tmp_path / "new" / "a.h5").read_bytes() == BODY
    assert server.requests == [("/a.h5", None)]
    seen = capfd.readouterr()
    assert "a.h5" in seen.err
    assert seen.out == ""


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_is_resumed_once(server, tmp_path, ranges):
    server.files["/a.h5"], server.breaks, server.ranges = BODY, 1, ranges
    download_file(f"{server.url}/a.h5", tmp_path / "a.h5", MD5)
    assert (tmp_path / "a.h5").read_bytes() == BODY
    assert server.requests == [("/a.h5", None), ("/a.h5", f"bytes={len(BODY) // 2}-")]


def test_a_file_truncated_twice_is_deleted(server, tmp_path):
    server.files["/a.h5"], server.breaks = BODY, 2
    with pytest.raises(UserError, match=r"the connection broke after 768,000 of 1,024,000 bytes"):
        download_file(f"{server.url}/a.h5", tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


def test_a_hash_mismatch_is_retried_from_the_start_and_deleted(server, tmp_path):
    server.files["/a.h5"] = BODY[:-1] + b"x"
    with pytest.raises(UserError, match="does not have the expected hash"):
        download_file(f"{server.url}/a.h5", tmp_path / "a.h5", SHA256)
    assert server.requests == [("/a.h5", None)] * 2
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_requested_once(server, tmp_path):
    with pytest.raises(UserError, match=r"a\.h5 could not be downloaded \(HTTP 404 Not Found\)"):
        download_file(f"{server.url}/a.h5", tmp_path / "a.h5")
    assert len(server.requests) == 1


def test_a_missing_server_is_reported_as_no_connection(tmp_path):
    with pytest.raises(UserError, match=r"no connection: .*refused"):
        download_file("http://127.0.0.1:9/a.h5", tmp_path / "a.h5")


def test_an_old_file_is_kept_until_the_new_one_is_complete(server, tmp_path):
    (tmp_path / "a.h5").write_bytes(b"old")
    with pytest.raises(UserError):
        download_file(f"{server.url}/a.h5", tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_bytes() == b"old"
