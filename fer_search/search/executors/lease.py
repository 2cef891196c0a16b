"""Fencing: a worker that was given up for lost, but still runs, must not write over its successor.

Two guards hold a trial's folder, both in ``.workers/`` of the run folder, so that the trial folders themselves are the
same however they were trained. A worker holds a lock while it trains; the operating system releases it when the worker
dies. And whenever the driver hands out a trial, it writes a new lease; before a worker replaces a file, it checks that
the lease is still its own, which also works on file systems without locks.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from fer_search.errors import UserError
from fer_search.files import guard_writes
from fer_search.runfolder.lock import hold_lock, is_locked
from fer_search.runfolder.schema import WORKERS_DIR

LEASE_FILE = "lease"
WAIT_SECONDS = 60.0  # that a worker waits for a trial whose last worker still holds it
POLL_SECONDS = 0.1


class LeaseLost(Exception):
    """The trial was given to another worker."""


class StillHeld(Exception):
    """Another worker, given up for lost, still holds the trial."""


def grant_lease(run: Path, trial_id: str) -> str:
    """Give a trial to whoever presents the returned token; every earlier one is void.

    Args:
        run: Run folder.
        trial_id: Id of the trial.
    """
    folder, token = _folder(run, trial_id), secrets.token_hex(8)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{LEASE_FILE}"
    temporary.unlink(missing_ok=True)
    temporary.write_text(token, encoding="ascii")  # not fsynced: after a power cut no worker is left
    os.replace(temporary, folder / LEASE_FILE)
    return token


@contextlib.contextmanager
def hold_trial(run: Path, trial_id: str, token: str, stop: Callable[[], bool]) -> Iterator[None]:
    """Hold a trial's folder while it is trained.

    Args:
        run: Run folder.
        trial_id: Id of the trial.
        token: From ``grant_lease``.
        stop: Polled while waiting for the lock.

    Raises:
        StillHeld: Its last worker did not release it in time.
        LeaseLost: Inside, by the first write after the trial was given to another worker.
    """
    folder, deadline = _folder(run, trial_id), time.monotonic() + WAIT_SECONDS

    def check() -> None:
        try:
            current = (folder / LEASE_FILE).read_text(encoding="ascii")
        except OSError:
            current = ""
        if current != token:
            raise LeaseLost(f"trial {trial_id} was given to another worker")

    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(hold_lock(folder))
                break
            except UserError as error:
                if stop() or time.monotonic() > deadline:
                    raise StillHeld(str(error)) from error
                time.sleep(POLL_SECONDS)
        check()
        with guard_writes(check):
            yield


def wait_for_workers(run: Path, seconds: float = 10.0) -> bool:
    """Wait until no worker of an earlier start holds a trial; return whether that is so.

    Args:
        run: Run folder.
        seconds: Longest wait. Workers notice within a second that their driver died.
    """
    deadline = time.monotonic() + seconds
    while any(is_locked(folder) for folder in (run / WORKERS_DIR).glob("*")):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def remove_leases(run: Path) -> None:
    """Remove all leases: no worker is left."""
    shutil.rmtree(run / WORKERS_DIR, ignore_errors=True)


def _folder(run: Path, trial_id: str) -> Path:
    return run / WORKERS_DIR / trial_id
