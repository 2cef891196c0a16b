"""The run folder: where its files are, run.json, and the lock that keeps a second process out."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from fer_search.errors import UserError
from fer_search.files import disk_is_full, remove_parts, write_json

try:
    import fcntl
except ImportError:  # Windows has none: there the process that the file names holds the folder
    fcntl = None  # type: ignore[assignment]

FORMAT = 1  # of run.json and of the files beside it
LOCKED, DIFFERENT = 4, 5  # exit codes
LOCK, LIVE = ".lock", "live.json"  # who holds the folder; what it is doing, for ``fer-search status``
LOOK_SECONDS = 0.5  # for which a process that only looks whether a folder is in use may keep a run out
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)  # the file system has no such locks
WRITTEN = ("oracle.json", "tuner0.json", "run.json", "report.html", "predictions.npz", "training.json", LIVE)


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

    def check_whole(self) -> None:
        """Refuse to begin over what is there already.

        Raises:
            UserError: there are trials, but no run.json or no oracle.json beside them (exit code 4).
        """
        trials, begun = any(self.path.glob("trial_*/trial.json")), (self.path / "run.json").exists()
        if not begun and (trials or self.started()):
            raise UserError(
                f"{self.path} holds trials but no run.json: it is stock Keras Tuner's, or broken. Restore run.json, or "
                "choose another --name",
                LOCKED,
            )
        if begun and trials and not self.started():
            raise UserError(
                f"{self.path} has lost its oracle.json; make it again from the trials with: "
                f"fer-search doctor {self.path} --repair",
                LOCKED,
            )

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
            UserError: another process holds it (exit code 4), or nothing can be written there (2).
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            opened = (self.path / LOCK).open("a+", encoding="utf-8")
        except OSError as error:
            if disk_is_full(error):
                raise
            reason = error.strerror or error
            raise UserError(
                f"cannot write to the run folder {self.path}: {reason}; choose another --results-dir"
            ) from error
        with opened as file:
            if not _take(file, time.monotonic() + LOOK_SECONDS):
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
            locked = _flock(file, shared=True)
            return _held_by_name(file) if locked is None else not locked


def check_same(
    path: Path,
    then: dict[str, Any],
    now: dict[str, Any],
    extended: tuple[str, ...] = (),
    words: Mapping[str, str] | None = None,
) -> list[str]:
    """Refuse to go on with a run that was started as another one.

    Args:
        path: the run folder.
        then: what run.json recorded under "identity".
        now: the same of this start.
        extended: names of what may be more than then.
        words: name -> in what it differs, where the values themselves say little.

    Returns:
        The names of what is more than then.

    Raises:
        UserError: they differ; the message says in what (exit code 5).
    """
    differ = [name for name in now if then.get(name) != now[name]]
    more = [name for name in differ if name in extended and _at_least(now[name], then.get(name))]
    if wrong := [name for name in differ if name not in more]:
        said = {name: f"was {_short(then.get(name))}, is {_short(now[name])}" for name in wrong} | dict(words or {})
        changes = "; ".join(f"{name} {said[name]}" for name in wrong)
        way_out = "Choose another --name, or --overwrite it"
        if not extended and set(wrong) <= {"--max-trials", "--max-epochs", "--time-budget"}:
            way_out = "--extend goes on with more of it, another --name or --overwrite starts anew"
        raise UserError(f"{path} was started with something else: {changes}. {way_out}", DIFFERENT)
    return more


def _at_least(now: float | None, then: float | None) -> bool:
    """Whether a limit is no lower than before; None is no limit."""
    return now is None or (then is not None and now >= then)


def _take(file: TextIO, until: float) -> bool:
    """Lock a file; a process that only looks at it is waited for."""
    while not (locked := _flock(file, shared=False)):
        if locked is None:
            return not _held_by_name(file)
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def _flock(file: TextIO, shared: bool) -> bool | None:
    """Ask the system for a lock; None where it has no such locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        return None if error.errno in UNSUPPORTED else False
    return True


def _held_by_name(file: TextIO) -> bool:
    """Whether the process that a lock file names lives; one on another machine may."""
    held = _read(file)
    return bool(held) and (held.get("host") != socket.gethostname() or _alive(held.get("pid")))


def _alive(pid: Any) -> bool:
    if os.name == "nt":  # there os.kill(pid, 0) is no question but Ctrl-C
        return True
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
