"""The run folder: where its files are, run.json, and the lock that keeps a second process out."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fer_search.errors import UserError
from fer_search.files import write_json

FORMAT = 1  # of run.json and of the files beside it
LOCKED, DIFFERENT = 4, 5  # exit codes


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

    def started(self) -> bool:
        """Whether a search wrote its state here."""
        return (self.path / "oracle.json").exists()

    def clear(self) -> None:
        """Remove what a run wrote here, and nothing else."""
        for path in self.path.glob("trial_*"):
            shutil.rmtree(path)
        for name in ("oracle.json", "tuner0.json", "run.json", "report.html"):
            (self.path / name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder; the system lets go of it when the process ends, however it ends.

        Raises:
            UserError: another process holds it (exit code 4).
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                message = f"{self.path} is in use by another fer-search run; wait for it, or choose another --name"
                raise UserError(message, LOCKED) from error
            yield


def check_same(path: Path, then: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse to go on with a run that was started as another one.

    Args:
        path: the run folder.
        then: what run.json recorded under "identity".
        now: the same of this start.

    Raises:
        UserError: they differ; the message says in what (exit code 5).
    """
    differ = [name for name in now if then.get(name) != now[name]]
    if differ:
        changes = "; ".join(f"{name} was {_short(then.get(name))}, is {_short(now[name])}" for name in differ)
        message = f"{path} was started with something else: {changes}. Choose another --name, or --overwrite it"
        raise UserError(message, DIFFERENT)


def _short(value: Any) -> str:
    text = "not set" if value is None else str(value)
    return text if len(text) <= 40 else text[:12] + "..."
