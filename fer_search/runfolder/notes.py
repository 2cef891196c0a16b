"""notes.jsonl: what the user wrote about trials, one JSON object a line, appended and forced to disk."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from fer_search.errors import UserError
from fer_search.files import open_regular, read_bytes
from fer_search.runfolder.schema import NOTES_FILE


@dataclass(frozen=True)
class Note:
    """One note.

    Args:
        trial: id of the trial.
        text: the note; "" where only tags were given.
        tags: short labels to filter by.
        time: when it was written, ISO 8601, UTC.
    """

    trial: str
    text: str
    tags: tuple[str, ...] = ()
    time: str = ""


def append_note(run: Path, trial: str, text: str, tags: tuple[str, ...] = ()) -> Note:
    """Append a note; safe while a search writes to the run folder.

    Args:
        run: the run folder.
        trial: id of the trial.
        text: the note; "" for tags alone.
        tags: short labels.

    Raises:
        UserError: the file cannot be written, or the note is no valid text.
    """
    note = Note(trial, text, tags, datetime.now(UTC).isoformat(timespec="seconds"))
    path = run / NOTES_FILE
    line = json.dumps(asdict(note), ensure_ascii=False) + "\n"
    try:
        line.encode()
    except UnicodeEncodeError as error:  # bytes of another encoding, which Python keeps as lone surrogates
        raise UserError("the note or a --tag is not valid UTF-8 text; type it again") from error
    try:
        torn = path.exists() and path.stat().st_size > 0 and not read_bytes(path).endswith(b"\n")
        with os.fdopen(open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "a", encoding="utf-8") as file:
            file.write(("\n" if torn else "") + line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror or error})") from error
    return note


def read_notes(run: Path) -> list[Note]:
    """Return all notes of a run, oldest first; a line that a power cut tore is left out.

    Raises:
        UserError: a whole line is not a note; the message names the file and line.
    """
    path = run / NOTES_FILE
    if not path.exists():
        return []
    try:
        lines = read_bytes(path).decode("utf-8", errors="replace").split("\n")
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror or error})") from error
    notes = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            raw = json.loads(line)
            notes.append(Note(str(raw["trial"]), str(raw["text"]), tuple(map(str, raw["tags"])), str(raw["time"])))
        except (ValueError, KeyError, TypeError) as error:
            if not line.endswith("}"):  # torn
                continue
            raise UserError(f"{path}, line {number}, is not a note ({error!r}); correct or remove the line") from error
    return notes
