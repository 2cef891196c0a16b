"""The run folder: where its files are, run.json, and the lock that keeps a second process out."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from fer_search.errors import UserError
from fer_search.files import remove_parts, write_json

FORMAT = 1  # of run.json and of the files beside it
LOCKED, DIFFERENT = 4, 5  # exit codes
LOCK, LIVE = ".lock", "live.json"  # who holds the folder; what it is doing, for ``fer-search status``
WRITTEN = ("oracle.json", "tuner0.json", "run.json", "report.html", "predictions.npz", LIVE)


class RunFolder:
    """One run's folder.

    Args:
        path: the folder; made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def trial(self, trial_id: str) -> Path:
        """Return a trial's folder, made where it is missing."""
        folder = self.path / f"trial_{trial_id}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def read(self) -> dict[str, Any] | None:
        """Return run.json; None where there is none yet.

        Raises:
            UserError: it is broken, or of a newer format.
        """
        path = self.path / "run.json"
        if not path.exists():
            return None
        try:
            info = json.loads(path.read_text(encoding="utf-8"))
            version = int(info["format"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} cannot be read ({error}); restore it, or choose another --name", LOCKED) from error
        if version > FORMAT:
            raise UserError(f"{path} has format {version}, newer than this fer-search reads; update it", LOCKED)
        return info

    def write(self, info: dict[str, Any]) -> None:
        """Replace run.json."""
        write_json(self.path / "run.json", info)

    def write_live(self, content: dict[str, Any]) -> None:
        """Say what the run is doing now. Not forced to disk: after a power cut nothing is being done."""
        beside = self.path / ".part-live.json"
        beside.write_text(json.dumps(content), encoding="utf-8")
        beside.replace(self.path / LIVE)

    def read_live(self) -> dict[str, Any] | None:
        """Return what the process that holds the folder last said about itself."""
        try:
            return dict(json.loads((self.path / LIVE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def started(self) -> bool:
        """Whether a search wrote its state here."""
        return (self.path / "oracle.json").exists()

    def clear(self) -> None:
        """Remove what a run wrote here, and nothing else."""
        for path in self.path.glob("trial_*"):
            shutil.rmtree(path)
        for name in ("tensorboard", "confirm"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in WRITTEN:
            (self.path / name).unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Remove unfinished files that a kill left; only for the process that holds the lock."""
        for folder in (self.path, *self.path.glob("trial_*")):
            remove_parts(folder)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder. The system lets go of it when the process ends, however it ends.

        Where the file system has no such locks, the lock is the process that the file names; one that no longer lives,
        on this machine, holds nothing.

        Raises:
            UserError: another process holds it (exit code 4).
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / LOCK).open("a+", encoding="utf-8") as file:
            if not _take(file):
                by = f"another fer-search run{_holder(file)}"
                raise UserError(f"{self.path} is in use by {by}; wait for it, or choose another --name", LOCKED)
            me = {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "since": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            _replace(file, json.dumps(me))
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    _replace(file, "")

    def in_use(self) -> bool:
        """Whether a process holds the folder now."""
        try:
            file = (self.path / LOCK).open(encoding="utf-8")
        except OSError:
            return False
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return True
            return False


def check_same(path: Path, then: dict[str, Any], now: dict[str, Any], extended: tuple[str, ...] = ()) -> list[str]:
    """Refuse to go on with a run that was started as another one.

    Args:
        path: the run folder.
        then: what run.json recorded under "identity".
        now: the same of this start.
        extended: names of what may be more than then.

    Returns:
        The names of what is more than then.

    Raises:
        UserError: they differ; the message says in what (exit code 5).
    """
    differ = [name for name in now if then.get(name) != now[name]]
    more = [name for name in differ if name in extended and _at_least(now[name], then.get(name))]
    if wrong := [name for name in differ if name not in more]:
        changes = "; ".join(f"{name} was {_short(then.get(name))}, is {_short(now[name])}" for name in wrong)
        way_out = "Choose another --name, or --overwrite it"
        if not extended and set(wrong) <= {"--max-trials", "--max-epochs", "--time-budget"}:
            way_out = "--extend goes on with more of it, another --name or --overwrite starts anew"
        raise UserError(f"{path} was started with something else: {changes}. {way_out}", DIFFERENT)
    return more


def _at_least(now: float | None, then: float | None) -> bool:
    """Whether a limit is no lower than before; None is no limit."""
    return now is None or (then is not None and now >= then)


def _take(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL):
            return False
        held = _read(file)
        return not held or (held.get("host") == socket.gethostname() and not _alive(held.get("pid")))
    return True


def _alive(pid: Any) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, TypeError, ValueError):
        return False
    except PermissionError:
        return True
    return int(pid) != os.getpid()


def _holder(file: TextIO) -> str:
    held = _read(file)
    return f" (process {held.get('pid')} on {held.get('host')}, since {held.get('since')})" if held else ""


def _read(file: TextIO) -> dict[str, Any]:
    file.seek(0)
    try:
        return dict(json.loads(file.read()))
    except (ValueError, TypeError):
        return {}


def _replace(file: TextIO, text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()


def _short(value: Any) -> str:
    text = "not set" if value is None else str(value)
    return text if len(text) <= 40 else text[:12] + "..."
