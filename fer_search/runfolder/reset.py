"""Makes ended trials of a run pending again, so that the next start trains them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fer_search.errors import UserError
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.json_files import read_json, write_json
from fer_search.runfolder.schema import (
    CRASH_MARKER_FILE,
    DESIGN_FILE,
    EPOCHS_FILE,
    LAYERS_FILE,
    ORACLE_FILE,
    TRIAL_FILE,
    TRIAL_PREFIX,
)
from fer_search.runfolder.trial_files import read_trial_records


def failed_trials(run: Path) -> list[str]:
    """Return the ids of a run's failed trials."""
    return [record.trial for record in read_trial_records(run) if record.status == "FAILED"]


def completed_trials(run: Path) -> list[str]:
    """Return the ids of a run's completed trials."""
    return [record.trial for record in read_trial_records(run) if record.status == "COMPLETED"]


def reset_trials(run: Path, trials: Sequence[str], from_scratch: bool = False) -> None:
    """Make ended trials pending; the caller holds the folder's lock, or nobody runs it.

    oracle.json is written last: after a kill in between, ``fer-search doctor`` sees trials that did not end.

    Args:
        run: Run folder.
        trials: Ids of the trials.
        from_scratch: Whether to remove what they trained; otherwise they resume from their last checkpoint.

    Raises:
        UserError: A file is damaged.
    """
    folder = RunFolder(run)
    oracle = read_json(run / ORACLE_FILE)
    for trial in trials:
        path = folder.trial_path(trial)
        content = read_json(path / TRIAL_FILE)
        pending: dict[str, Any] = {"status": "RUNNING", "score": None, "best_step": 0, "message": None}
        (path / CRASH_MARKER_FILE).unlink(missing_ok=True)
        if from_scratch:
            for name in (EPOCHS_FILE, DESIGN_FILE, LAYERS_FILE):
                (path / name).unlink(missing_ok=True)
            for checkpoint in path.glob("*.h5"):
                checkpoint.unlink()
        write_json(path / TRIAL_FILE, content | pending | {"metrics": {"metrics": {}}})
    oracle["end_order"] = [trial for trial in oracle["end_order"] if trial not in set(trials)]
    write_json(run / ORACLE_FILE, oracle)


def check_not_promoted(run: Path, trials: Sequence[str]) -> None:
    """Refuse to reset trials that others continue.

    Raises:
        UserError: One is the parent of another trial (Hyperband).
    """
    for record in read_trial_records(run):
        if record.parent in trials:
            raise UserError(f"{run}: {TRIAL_PREFIX}{record.parent} was promoted, and trial {record.trial} continues it")
