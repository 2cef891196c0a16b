"""The best weights under the name where stock Keras Tuner looks for them, so that ``get_best_models`` works."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from fer_search.files import TEMP_PREFIX, write_atomic
from fer_search.runfolder.schema import BEST_WEIGHTS_FILE, TUNER_CHECKPOINT_FILE


def update_tuner_checkpoint(folder: Path) -> None:
    """Make a trial's checkpoint for Keras Tuner another name of its best weights; none where there are no weights.

    It is a hard link, which takes no space, and a copy where the file system has no hard links.

    Args:
        folder: Folder of the trial.
    """
    best, checkpoint = folder / BEST_WEIGHTS_FILE, folder / TUNER_CHECKPOINT_FILE
    if not best.exists():
        checkpoint.unlink(missing_ok=True)
    elif not is_linked(folder):
        link = folder / f"{TEMP_PREFIX}{TUNER_CHECKPOINT_FILE}"
        link.unlink(missing_ok=True)
        try:
            os.link(best, link)
        except OSError:
            if not checkpoint.exists() or checkpoint.stat().st_mtime_ns < best.stat().st_mtime_ns:
                write_atomic(checkpoint, lambda path: shutil.copyfile(best, path))
            return
        link.replace(checkpoint)


def is_linked(folder: Path) -> bool:
    """Whether the checkpoint for Keras Tuner is another name of the trial's best weights."""
    with contextlib.suppress(OSError):
        return (folder / TUNER_CHECKPOINT_FILE).samefile(folder / BEST_WEIGHTS_FILE)
    return False
