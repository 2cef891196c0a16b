"""Starting or joining a Ray cluster, with settings that suit a search: quiet, on loopback, without telemetry."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from fer_search.data.cache import cache_folder
from fer_search.errors import UserError, first_line

MAX_SOCKET_PATH = 107  # bytes that the path of a Unix socket may have
SOCKET_SUFFIX = 78  # bytes that our folder's name and Ray's sockets in it add to a path
FOLDER_PREFIX, PID_FILE = "r-", "driver.pid"
SPARE_MEMORY = 100 * 2**20  # bytes of the object store besides the data
MIN_MEMORY = 160 * 2**20
ENVIRONMENT = {
    "RAY_worker_niceness": "0",  # Ray's default of 15 starves workers on a shared machine
    "RAY_memory_monitor_refresh_ms": "0",  # it kills the newest worker, not the largest; the kernel chooses better
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under "uv run" Ray would upload the working directory, data included
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "600",  # Ray's default of 60 ends a search on an overloaded machine
}


def is_installed() -> bool:
    """Whether Ray can be imported."""
    return importlib.util.find_spec("ray") is not None


def check_installed() -> None:
    """Refuse to use workers where Ray is not installed.

    Raises:
        UserError: It is not; the message says how to install it.
    """
    if not is_installed():
        raise UserError(
            "--workers needs Ray, which is not installed: pip install 'fer-search[workers]' (Linux, macOS on ARM, or "
            "Windows with Python 3.11 to 3.13); --workers 1 needs nothing"
        )


def prepare_environment(address: str | None) -> None:
    """Set what Ray reads from the environment; must come before Ray is imported.

    Args:
        address: As of ``Cluster``; a cluster that is started here listens on loopback, with a new authentication token.

    Raises:
        UserError: Ray is not installed.
    """
    check_installed()
    os.environ.update({name: value for name, value in ENVIRONMENT.items() if name not in os.environ})
    if address is None:  # without a token, Ray writes one to the user's home folder
        os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN"] = "token", secrets.token_hex(16)
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # on Linux too: makes Ray listen on loopback only


def check_reachable(address: str, timeout: float = 5.0) -> None:
    """Refuse a cluster that nothing answers for; Ray itself would try for minutes.

    Args:
        address: "auto" or HOST:PORT; the former is left to Ray.
        timeout: Seconds to wait for an answer.

    Raises:
        UserError: There is none, or it is not an address.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"--cluster {address}: give auto or HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"--cluster {address}: nothing answers there ({error}); start it with: ray start --head"
        ) from error


class Cluster:
    """A Ray cluster of one machine, started for this process, or one that was there before.

    ``prepare_environment`` must be called first.

    Args:
        address: None to start one here; "auto" or HOST:PORT to join one.
        cpus: Number of trials that train here at the same time.
        data_bytes: Size of the data that every worker reads.
        environment: Variables that the processes of a cluster started here inherit. Ray starts its workers with the
            cluster itself, and would start others for an actor with variables of its own.
    """

    def __init__(
        self, address: str | None, cpus: int, data_bytes: int, environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder: Path | None = None
        self.environment = dict(environment or {}) if address is None else {}
        self.address, self._cpus, self._memory = address, cpus, max(data_bytes + SPARE_MEMORY, MIN_MEMORY)
        self._output = sys.stdout
        if address is None:
            self._start()
        else:
            self._join(address)

    def restart(self) -> None:
        """Start a cluster that was started here again, because its servers have died."""
        self.close()
        self._start()

    def _start(self) -> None:
        self.folder = _temporary_folder()
        try:
            with _environment(self.environment):
                self._init(
                    address="local",
                    num_cpus=self._cpus,
                    object_store_memory=self._memory,
                    _temp_dir=str(self.folder),
                )
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _join(self, address: str) -> None:
        check_reachable(address)
        try:
            self._init(address=address)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = first_line(error) or type(error).__name__
            raise UserError(
                f"--cluster {address}: no Ray cluster can be joined there ({reason}); start one with: ray start --head"
            ) from error

    def _init(self, **options: Any) -> None:
        import ray

        handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
        sys.stdout = _WithoutRay(sys.stdout)  # Ray prints there that a worker died, in the middle of JSON lines
        try:
            ray.init(
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                configure_logging=True,
                **options,
            )
        except BaseException:
            sys.stdout = self._output
            raise
        finally:
            for signum, handler in handlers.items():  # Ray replaces the handler of SIGTERM
                signal.signal(signum, handler)

    def close(self) -> None:
        """Leave the cluster; one that was started here ends, and its logs are removed."""
        import ray

        ray.shutdown()
        sys.stdout = self._output
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class _WithoutRay:
    """A text stream that drops the lines that Ray prints about its workers."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._dropping = False

    def write(self, text: str) -> int:
        if "(raylet" in text or "(pid=" in text:
            self._dropping = True
            return len(text)
        if self._dropping and not text.strip("\n"):
            self._dropping = False
            return len(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _temporary_folder() -> Path:
    """Return a new folder for Ray's sockets and logs: in the user's cache, if its path is short enough for sockets."""
    for parent in (cache_folder() / "ray", Path(tempfile.gettempdir())):
        if len(os.fsencode(str(parent))) + SOCKET_SUFFIX <= MAX_SOCKET_PATH:
            with contextlib.suppress(OSError):
                parent.mkdir(parents=True, exist_ok=True)
                _remove_abandoned(parent)
                return _make_folder(parent)
    return _make_folder(Path("/tmp"))


def _make_folder(parent: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=parent))
    (folder / PID_FILE).write_text(str(os.getpid()), encoding="ascii")
    return folder


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of drivers that were killed; elsewhere than on Linux they stay."""
    if not Path("/proc/self").exists():
        return
    for file in parent.glob(f"{FOLDER_PREFIX}*/{PID_FILE}"):
        with contextlib.suppress(OSError, ValueError):
            if not Path(f"/proc/{int(file.read_text(encoding='ascii'))}").exists():
                shutil.rmtree(file.parent, ignore_errors=True)
