"""``RunFolder``: the paths in a run folder, run.json and live.json."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.files import TEMP_PREFIX, open_regular, remove_temp_files
from fer_search.runfolder.guard import check_trial_id
from fer_search.runfolder.identity import check_resumable
from fer_search.runfolder.json_files import check_format, read_json, read_json_if_valid, write_json
from fer_search.runfolder.lock import hold_lock, is_locked
from fer_search.runfolder.schema import (
    CONFIRM_DIR,
    DESIGN_FILE,
    EPOCHS_FILE,
    EXPORT_DIR,
    LIVE_FILE,
    NOTES_FILE,
    ORACLE_FILE,
    RUN_FILE,
    RUN_FILES,
    TENSORBOARD_DIR,
    TRIAL_FILE,
    TRIAL_PREFIX,
    TUNER_FILE,
)


class RunFolder:
    """The folder of one run.

    Args:
        path: Path of the folder; need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def trial_path(self, trial_id: str) -> Path:
        """Return the path of a trial's folder, which may not exist.

        Raises:
            UserError: The id is not a plain name (exit code 4).
        """
        return self.path / f"{TRIAL_PREFIX}{check_trial_id(trial_id, self.path)}"

    def trial_dir(self, trial_id: str) -> Path:
        """Return a trial's folder; creates it if missing."""
        folder = self.trial_path(trial_id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def trial_dirs(self) -> list[Path]:
        """Return the folders of all trials, sorted by name."""
        return sorted(self.path.glob(f"{TRIAL_PREFIX}*"))

    def trial_files(self) -> list[Path]:
        """Return the trial.json of all trials, sorted by trial."""
        return sorted(self.path.glob(f"{TRIAL_PREFIX}*/{TRIAL_FILE}"))

    def design_files(self) -> list[Path]:
        """Return the design.json of all trials, sorted by trial."""
        return sorted(self.path.glob(f"{TRIAL_PREFIX}*/{DESIGN_FILE}"))

    def epoch_tables(self) -> list[Path]:
        """Return the epochs.csv of all trials, sorted by trial."""
        return sorted(self.path.glob(f"{TRIAL_PREFIX}*/{EPOCHS_FILE}"))

    def read_run_json(self) -> dict[str, Any] | None:
        """Return run.json; None where there is none yet.

        Raises:
            UserError: It is damaged, of a newer format, or lacks what a search needs to be resumed (exit code 4).
        """
        path = self.path / RUN_FILE
        if not os.path.lexists(path):
            return None
        info = read_json(path)
        check_format(path, info)
        check_resumable(path, info)
        return info

    def write_run_json(self, info: dict[str, Any]) -> None:
        """Replace run.json."""
        write_json(self.path / RUN_FILE, info)

    def write_tuner_json(self) -> None:
        """Write the file in which Keras Tuner keeps a tuner's state; it is always empty here."""
        write_json(self.path / TUNER_FILE, {})

    def write_live(self, content: dict[str, Any]) -> None:
        """Write the heartbeat (``schema.LiveJson``). Not fsynced: after a power cut it is out of date anyway."""
        temporary = self.path / f"{TEMP_PREFIX}{LIVE_FILE}"
        with os.fdopen(open_regular(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w") as file:
            file.write(json.dumps(content))
        temporary.replace(self.path / LIVE_FILE)

    def read_live(self) -> dict[str, Any] | None:
        """Return the last heartbeat of the process that holds the folder; None if it is missing or damaged."""
        return read_json_if_valid(self.path / LIVE_FILE)

    def remove_live(self) -> None:
        """Remove the heartbeat: the search ended."""
        (self.path / LIVE_FILE).unlink(missing_ok=True)

    def has_oracle(self) -> bool:
        """Return whether a search wrote its state here."""
        return (self.path / ORACLE_FILE).exists()

    def check_complete(self) -> None:
        """Refuse to start a search over an incomplete run.

        Raises:
            UserError: There are trials without run.json or oracle.json (exit code 4).
        """
        has_trials, has_run_json = bool(self.trial_files()), (self.path / RUN_FILE).exists()
        if not has_run_json and (has_trials or self.has_oracle()):
            raise UserError(
                f"{self.path} holds trials but no run.json: it was written by stock Keras Tuner, or is damaged. "
                "Restore run.json from a backup, or choose another --name",
                EXIT_RUN_FOLDER,
            )
        if has_run_json and has_trials and not self.has_oracle():
            raise UserError(
                f"{self.path / ORACLE_FILE} is missing; rebuild it from the trials with: "
                f"fer-search doctor {shlex.quote(str(self.path))} --repair",
                EXIT_RUN_FOLDER,
            )

    def clear(self) -> None:
        """Delete what a run wrote here, and nothing else; notes of its trials are renamed, as the user wrote them."""
        notes = self.path / NOTES_FILE
        if notes.exists():
            notes.rename(notes.with_name(f"{notes.stem}-{datetime.now(UTC):%Y%m%dT%H%M%S}{notes.suffix}"))
        for path in self.trial_dirs():
            shutil.rmtree(path)
        for name in (TENSORBOARD_DIR, CONFIRM_DIR, EXPORT_DIR):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in RUN_FILES:
            (self.path / name).unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Remove unfinished files that a kill left behind; the caller must hold the lock."""
        for folder in (self.path, *self.trial_dirs()):
            remove_temp_files(folder)

    def lock(self) -> AbstractContextManager[None]:
        """Hold the folder; see ``lock.hold_lock``."""
        return hold_lock(self.path)

    def in_use(self) -> bool:
        """Return whether a process holds the folder now."""
        return is_locked(self.path)
