"""Whether Ray's servers still run.

Ray ends a driver by ``exit`` in C++, so that nothing is said or saved, some seconds after the raylet of its machine has
died, and ``RAY_gcs_rpc_server_reconnect_timeout_s`` after the global control service (GCS) has. An overloaded machine
only makes them answer late, which must not end a search.
"""

from __future__ import annotations

import errno
import socket
import time
from typing import Literal

import ray

CHECK_SECONDS = 1.0  # between two checks
CONNECT_SECONDS = 2.0  # that a connection may take; on the same machine the kernel accepts it at once
SILENT_SECONDS = 300.0  # that a busy server may take to answer
ABSENT_ERRNOS = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETUNREACH)


class RayServers:
    """The servers of the cluster that this process has joined.

    Args:
        addresses: HOST:PORT of each.
    """

    def __init__(self, addresses: list[str]) -> None:
        self.addresses = addresses
        self._checked = time.monotonic()
        self._failing_since: float | None = None
        self._absent = False

    def seconds_gone(self) -> float:
        """Return for how many seconds a server has been gone; 0 while all are there.

        One that refuses connections is gone at once, and one that does not answer after ``SILENT_SECONDS``.
        """
        now = time.monotonic()
        if now - self._checked >= CHECK_SECONDS:
            self._checked = now
            found = [_look_for(address) for address in self.addresses]
            self._absent = "absent" in found
            if set(found) == {"there"}:
                self._failing_since = None
            elif self._failing_since is None:
                self._failing_since = now
        if self._failing_since is None:
            return 0.0
        seconds = now - self._failing_since
        return max(seconds, 1e-3) if self._absent else max(seconds - SILENT_SECONDS, 0.0)


def find_servers(own: bool) -> RayServers:
    """Return the servers on which this process depends.

    Args:
        own: Whether the cluster is one machine's and was started by this process; the nodes of others come and go.
    """
    addresses = [ray.get_runtime_context().gcs_address]
    if own:
        nodes = ray.nodes()  # type: ignore[no-untyped-call]
        addresses += [f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}" for node in nodes]
    return RayServers(addresses)


def _look_for(address: str) -> Literal["there", "absent", "silent"]:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        return "absent" if error.errno in ABSENT_ERRNOS else "silent"
    return "there"
