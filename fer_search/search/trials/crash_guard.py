"""Deaths of the process in the middle of a trial, without a word: for want of memory, or by a fault in a library.

Every later start would take such a trial up where it stood, and die of it again. So a file marks a trial while it is
trained, with the place that it was taken up from and how many starts were at that place. A start that says goodbye,
because it was told to stop or because the trial ended, takes the mark away; one that died leaves it. The place is what
the folder holds of the training, so that whatever was saved in between makes it another place: deaths with progress
between them are not counted, however many they are.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fer_search.files import write_json
from fer_search.training.checkpoint import checkpointed_epochs
from fer_search.training.mid_epoch import PARTIAL

MARK = "training.json"
MOST = 3  # deaths at one place, after which a trial counts as failed
DIED = f"the process died {MOST} times at the same place (killed by the system: out of memory?)"


class Mark:
    """Says that a folder's training is under way.

    Args:
        folder: of the trial.
        others: folders whose epochs and middles of epochs are progress of the trial too.
    """

    def __init__(self, folder: Path, others: Sequence[Path] = ()) -> None:
        self.path, self.folders = folder / MARK, (folder, *others)

    def set(self) -> int:
        """Write it, forced to disk; return how many starts died at the place where the training is."""
        place, died = [_progress(folder) for folder in self.folders], 0
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # none there, or a broken one
            before: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
            died = int(before["starts"]) if before["place"] == place else 1  # it came further, and died there
        write_json(self.path, {"place": place, "starts": died + 1})
        return died

    def clear(self) -> None:
        """Take it away: the process lives, or was told to stop."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


def _progress(folder: Path) -> list[int]:
    """Return what changes whenever something of a training is saved: its last checkpoint, and when its part was."""
    partial = folder / PARTIAL
    return [max(checkpointed_epochs(folder), default=0), partial.stat().st_mtime_ns if partial.exists() else 0]
