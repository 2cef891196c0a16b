"""Keeps fer-search inside a run folder: plain trial ids, and no links, FIFOs or devices among the run's files.

Run folders are shared and downloaded. Every command that opens one checks it first, so that no later read, write,
rename or removal of a path in it can reach a file outside.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.files import TEMP_PREFIX, irregular_kind
from fer_search.runfolder.schema import (
    CONFIRM_DIR,
    EXPORT_DIR,
    LOCK_FILE,
    RUN_FILES,
    TENSORBOARD_DIR,
    TRIAL_PREFIX,
    WORKERS_DIR,
)

TRIAL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
FOLDERS = (CONFIRM_DIR, TENSORBOARD_DIR, WORKERS_DIR, EXPORT_DIR)
MAX_DEPTH = 6  # of folders in a run folder


def is_trial_id(value: object) -> bool:
    """Return whether a value is a plain trial id: letters, digits, "-" and "_"."""
    return isinstance(value, str) and TRIAL_ID.fullmatch(value) is not None


def check_trial_id(value: str, source: Path) -> str:
    """Return a trial id.

    Raises:
        UserError: It is not a plain name; the message names the file it is from (exit code 4).
    """
    if not is_trial_id(value):
        raise UserError(f"{source}: {str(value)[:80]!r} is not a trial id; restore it from a backup", EXIT_RUN_FOLDER)
    return value


def check_contained(run: Path) -> None:
    """Refuse a run folder in which one of the run's files is a link, or not of the kind it should be.

    Raises:
        UserError: The message names the first one (exit code 4).
    """
    for problem in unsafe_entries(run):
        raise UserError(problem, EXIT_RUN_FOLDER)


def unsafe_entries(run: Path) -> Iterator[str]:
    """Yield a description of each entry of a run folder that fer-search will not touch.

    Entries that no run makes are the user's own business: they are neither read nor written.
    """
    for entry in _entries(run):
        is_folder = entry.name.startswith(TRIAL_PREFIX) or entry.name in FOLDERS
        if is_folder and entry.is_dir(follow_symlinks=False):
            name = entry.name.removeprefix(TRIAL_PREFIX)
            if entry.name.startswith(TRIAL_PREFIX) and not is_trial_id(name):
                yield f"{entry.path!r}: {name!r} is not a trial id; rename or remove the folder"
            else:
                yield from _unsafe_inside(Path(entry.path), 1)
        elif is_folder:
            yield _describe(entry, "a folder")
        elif _is_run_file(entry.name) and not entry.is_file(follow_symlinks=False):
            yield _describe(entry, "a file")


def _is_run_file(name: str) -> bool:
    return name in (*RUN_FILES, LOCK_FILE) or name.startswith(TEMP_PREFIX)


def _unsafe_inside(folder: Path, depth: int) -> Iterator[str]:
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            if depth < MAX_DEPTH:
                yield from _unsafe_inside(Path(entry.path), depth + 1)
            else:
                yield f"{entry.path} is nested too deeply; remove it"
        elif not entry.is_file(follow_symlinks=False):
            yield _describe(entry, "a file or folder")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror or error}", EXIT_RUN_FOLDER) from error


def _describe(entry: os.DirEntry[str], expected: str) -> str:
    kind = irregular_kind(Path(entry.path)) or "a file"
    return f"{entry.path} is {kind} where {expected} should be; fer-search does not follow it: remove it"
