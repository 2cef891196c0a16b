"""queue.json of a run folder: designs that are tried next, added by hand or taken from another run.

A list of entries in the order in which they were added:

    values   choice -> value
    added    when, ISO 8601, UTC
    trial    id of the trial that the entry became; absent while it waits
    rows     rows of epochs.csv, for a trial of another run that is not trained again
    record   design.json of that trial
    source   folder of that trial
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.runfolder.json_files import read_json, write_json
from fer_search.runfolder.lock import hold_file
from fer_search.runfolder.schema import QUEUE_FILE, QUEUE_LOCK_FILE


class QueueEntry(TypedDict):
    """One design."""

    values: dict[str, Any]
    added: str
    trial: NotRequired[str]
    rows: NotRequired[list[dict[str, float]]]
    record: NotRequired[dict[str, Any]]
    source: NotRequired[str]


def read_queue(run: Path) -> list[QueueEntry]:
    """Return the entries of a run's queue; empty if it has none.

    Raises:
        UserError: The file is damaged (exit code 4).
    """
    file = run / QUEUE_FILE
    if not file.exists():
        return []
    try:
        entries = read_json(file)["entries"]
        return [dict(entry) | {"values": dict(entry["values"])} for entry in entries]  # type: ignore[misc]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(f"{file} cannot be read ({error}); remove it to go on without", EXIT_RUN_FOLDER) from error


def write_queue(run: Path, entries: list[QueueEntry]) -> None:
    """Replace a run's queue."""
    write_json(run / QUEUE_FILE, {"entries": entries})


def new_entry(values: dict[str, Any], **more: Any) -> QueueEntry:
    """Return the entry of a design that is added now."""
    return {"values": values, "added": datetime.now(UTC).isoformat(timespec="seconds"), **more}  # type: ignore[typeddict-item]


def enqueue(run: Path, values: dict[str, Any]) -> None:
    """Append a design to a run's queue."""
    with hold_queue(run):
        write_queue(run, [*read_queue(run), new_entry(values)])


@contextlib.contextmanager
def hold_queue(run: Path) -> Iterator[None]:
    """Hold the queue while it is read and replaced: a running search and ``add`` both do so."""
    with hold_file(run / QUEUE_LOCK_FILE):
        yield
