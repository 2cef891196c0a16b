"""The user's notes on trials, and their tags."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from fer_search.runfolder.notes import read_notes


class TrialNotes(NamedTuple):
    """The notes on one trial, oldest first, and its tags without repetition."""

    texts: tuple[str, ...]
    tags: tuple[str, ...]


def load_notes(run: str | Path) -> dict[str, TrialNotes]:
    """Return the notes of a run by trial id.

    Raises:
        UserError: the file is broken; the message names it.
    """
    notes: dict[str, TrialNotes] = {}
    for note in read_notes(Path(run)):
        before = notes.get(note.trial, TrialNotes((), ()))
        texts = (*before.texts, note.text) if note.text else before.texts
        notes[note.trial] = TrialNotes(texts, tuple(dict.fromkeys((*before.tags, *note.tags))))
    return notes
