"""What Ray's start prints and leaves behind."""

import io
import os
import socket
from types import SimpleNamespace

import pytest

from fer_search.errors import UserError
from fer_search.search.executors import ray_cluster
from fer_search.search.executors.ray_cluster import (
    PID_FILE,
    _environment,
    _temporary_folder,
    _WithoutRay,
    check_reachable,
)


def test_rays_messages_about_its_workers_are_dropped():
    out = io.StringIO()
    stream = _WithoutRay(out)
    print("first", file=stream)
    print("(raylet) A worker died or was killed", file=stream)
    print("second", file=stream)
    print("(raylet) Raylet is terminated. Its last lines:\n    of its log\n", file=stream)
    assert out.getvalue() == "first\nsecond\n"


def test_the_workers_environment_is_set_while_the_cluster_starts(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    with _environment({"OMP_NUM_THREADS": "2", "TF_NUM_INTRAOP_THREADS": "2"}):
        assert os.environ["OMP_NUM_THREADS"] == os.environ["TF_NUM_INTRAOP_THREADS"] == "2"
    assert os.environ["OMP_NUM_THREADS"] == "8"
    assert "TF_NUM_INTRAOP_THREADS" not in os.environ


def test_a_cluster_that_does_not_answer_is_refused_at_once():
    check_reachable("auto")  # Ray looks for that
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        check_reachable(f"127.0.0.1:{port}")
    with pytest.raises(UserError, match=rf"--cluster 127\.0\.0\.1:{port}: nothing answers there .*ray start --head"):
        check_reachable(f"127.0.0.1:{port}")
    for wrong in ("somewhere", "host:", ":6379", "host:port"):
        with pytest.raises(UserError, match="give auto or HOST:PORT"):
            check_reachable(wrong)


def test_folders_of_killed_drivers_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_cluster, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(ray_cluster, "MAX_SOCKET_PATH", 10**6)
    first = _temporary_folder()
    assert first.parent == tmp_path / "ray"
    assert (first / PID_FILE).read_text() == str(os.getpid())
    (first / PID_FILE).write_text("999999999")
    second = _temporary_folder()
    assert [path.name for path in second.parent.iterdir()] == [second.name]
    assert _temporary_folder() != second
    assert second.exists()


def test_a_long_path_is_not_used_for_sockets(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_cluster, "cache_folder", lambda: tmp_path / ("long" * 30))
    folder = _temporary_folder()
    assert len(str(folder)) < 107 - 60
    (folder / PID_FILE).unlink()
    folder.rmdir()


@pytest.mark.parametrize(("workers", "capacity"), [(1, 1), (4, 4), (8, 9), (64, 72)])
def test_many_workers_have_jobs_in_reserve(workers, capacity):
    """With few workers a job would be announced long before it is trained."""
    ray_executor = pytest.importorskip("fer_search.search.executors.ray_executor")
    executor = ray_executor.RayExecutor.__new__(ray_executor.RayExecutor)
    executor.pool = SimpleNamespace(workers=[None] * workers)
    assert executor.capacity == capacity
