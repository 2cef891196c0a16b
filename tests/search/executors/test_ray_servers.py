"""Whether Ray's servers still run."""

import errno
import socket
import time

import pytest

ray_servers = pytest.importorskip("fer_search.search.executors.ray_servers", reason="needs Ray")


def test_a_server_that_refuses_connections_is_gone(monkeypatch):
    monkeypatch.setattr(ray_servers, "CHECK_SECONDS", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        servers = ray_servers.RayServers([f"127.0.0.1:{server.getsockname()[1]}" for server in (first, second)])
        assert servers.seconds_gone() == 0
        second.close()
        since = servers.seconds_gone()
        time.sleep(0.01)
        assert 0 < since < servers.seconds_gone()
        with socket.create_server(("127.0.0.1", int(servers.addresses[1].rpartition(":")[2]))):
            assert servers.seconds_gone() == 0


@pytest.mark.parametrize(
    ("failure", "seconds", "gone"),
    [
        (TimeoutError("timed out"), 200, 0),  # it may be busy
        (TimeoutError("timed out"), 400, 100),
        (OSError(errno.EHOSTUNREACH, "no route to host"), 50, 50),
    ],
)
def test_a_server_that_does_not_answer_is_gone_after_some_minutes(monkeypatch, failure, seconds, gone):
    def connect(*arguments):
        raise failure

    clock = iter([0.0, 10.0, 10.0 + seconds])
    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(ray_servers.time, "monotonic", lambda: next(clock))
    servers = ray_servers.RayServers(["127.0.0.1:1"])
    servers.seconds_gone()
    assert servers.seconds_gone() == gone
