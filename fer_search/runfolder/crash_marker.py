"""training.json: marks a training in progress, so that the next start can tell a crash from a clean exit."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import cast

from fer_search.files import check_write_guard
from fer_search.runfolder.json_files import read_json_if_valid, write_json
from fer_search.runfolder.schema import CRASH_MARKER_FILE, CrashMarkerJson


def read_crash_marker(folder: Path) -> CrashMarkerJson | None:
    """Return what an earlier start left behind; None where it exited cleanly or the file is damaged."""
    content = read_json_if_valid(folder / CRASH_MARKER_FILE)
    return None if content is None else cast(CrashMarkerJson, content)


def write_crash_marker(folder: Path, place: list[list[int]], starts: int) -> None:
    """Mark a training as in progress, flushed to disk.

    Args:
        folder: Folder of the training.
        place: Progress that is saved so far.
        starts: Starts at this place, this one included.
    """
    write_json(folder / CRASH_MARKER_FILE, {"place": place, "starts": starts})


def remove_crash_marker(folder: Path) -> None:
    """Remove the marker: the training ended, or the process was told to stop."""
    check_write_guard()
    with contextlib.suppress(OSError):
        (folder / CRASH_MARKER_FILE).unlink(missing_ok=True)
