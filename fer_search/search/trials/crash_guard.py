"""Detecting trials that crash the process (killed by the OOM killer, or a native crash in a library).

Every restart would resume such a trial where it was and crash again. So a marker file is written while a trial trains,
with its current progress and how many attempts started from there. A clean exit removes the marker file; a crash leaves
it behind. Progress is what the folder holds of the training (last checkpoint, mid-epoch state): any new checkpoint
resets the count, so crashes with progress in between are never counted together.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fer_search.runfolder.crash_marker import read_crash_marker, remove_crash_marker, write_crash_marker
from fer_search.runfolder.schema import MID_EPOCH_FILE
from fer_search.training.checkpoint import checkpointed_epochs

MAX_CRASHES = 3  # crashes without a new checkpoint after which a trial is marked failed
CRASH_MESSAGE = f"the process died {MAX_CRASHES} times at the same place (killed by the system: out of memory?)"


class CrashMarker:
    """Marks a folder whose training is in progress.

    Args:
        folder: Trial folder.
        others: Further folders whose checkpoints count as progress of the trial (ancestors that are being retrained).
    """

    def __init__(self, folder: Path, others: Sequence[Path] = ()) -> None:
        self.folders = (folder, *others)

    def set(self) -> int:
        """Write the marker, synced to disk; return how many attempts crashed at the current progress."""
        progress, crashes = [_progress(folder) for folder in self.folders], 0
        if (before := read_crash_marker(self.folders[0])) is not None:
            crashes = before["starts"] if before["place"] == progress else 1  # it crashed after more progress
        write_crash_marker(self.folders[0], progress, crashes + 1)
        return crashes

    def clear(self) -> None:
        """Remove the marker: the process is alive, or exits because it was told to."""
        remove_crash_marker(self.folders[0])


def _progress(folder: Path) -> list[int]:
    """Return what changes with everything saved: the last checkpointed epoch and the mid-epoch state's mtime (ns)."""
    mid_epoch = folder / MID_EPOCH_FILE
    return [max(checkpointed_epochs(folder), default=0), mid_epoch.stat().st_mtime_ns if mid_epoch.exists() else 0]
