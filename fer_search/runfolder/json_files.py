"""Reading the JSON files of a run folder."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fer_search.errors import UserError
from fer_search.runfolder.schema import EPOCHS_FILE, ORACLE_FILE, TRIAL_FILE

REPAIRABLE = (ORACLE_FILE, TRIAL_FILE, EPOCHS_FILE)  # fer-search doctor can recompute these from the other files


def read_json(file: Path, prepare: Callable[[str], str] = str) -> dict[str, Any]:
    """Return the object in a JSON file.

    Args:
        file: The file.
        prepare: Applied to the text before it is parsed.

    Raises:
        UserError: The file cannot be read or holds no object; the message names it.
    """
    try:
        content = json.loads(prepare(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}); {repair_hint(file)}") from error
    if not isinstance(content, dict):
        raise UserError(f"{file} holds no JSON object; {repair_hint(file)}")
    return content


def read_json_if_valid(file: Path, *required: str) -> dict[str, Any] | None:
    """Return the object in a JSON file; None if it is missing, damaged or lacks a required field."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and all(name in content for name in required) else None


def repair_hint(file: Path) -> str:
    """Return how to recover a damaged file of a run folder, for the end of an error message."""
    if file.name not in REPAIRABLE:
        return "restore it from a backup"
    run = file.parent if file.name == ORACLE_FILE else file.parent.parent
    return f"run: fer-search doctor {shlex.quote(str(run))} --repair"
