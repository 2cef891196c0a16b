"""Whether Ray's servers still run.

Ray ends a driver by ``exit`` in C++, so that nothing is said or saved, some seconds after the raylet of its machine has
died, and ``RAY_gcs_rpc_server_reconnect_timeout_s`` after the global control service (GCS) has. An overloaded machine
only makes them answer late, which must not end a search.
"""

from __future__ import annotations

import socket
import time

import ray

CHECK_SECONDS = 1.0  # between two checks
CONNECT_SECONDS = 2.0  # that a connection may take; on the same machine the kernel accepts it at once


class RayServers:
    """The servers of the cluster that this process has joined.

    Args:
        addresses: HOST:PORT of each.
    """

    def __init__(self, addresses: list[str]) -> None:
        self.addresses = addresses
        self._checked = time.monotonic()
        self._gone_since: float | None = None

    def seconds_gone(self) -> float:
        """Return for how many seconds a server has refused connections; 0 while all accept them."""
        now = time.monotonic()
        if now - self._checked >= CHECK_SECONDS:
            self._checked = now
            if all(_accepts(address) for address in self.addresses):
                self._gone_since = None
            elif self._gone_since is None:
                self._gone_since = now
        return 0.0 if self._gone_since is None else max(now - self._gone_since, 1e-3)


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


def _accepts(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except ConnectionRefusedError:
        return False
    except OSError:  # such as a timeout: it may be busy
        return True
    return True
