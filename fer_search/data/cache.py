"""Parsed data sets, kept in the user's cache folder as .npy files that open memory-mapped.

An entry is found by what its source looks like from outside (paths, sizes, times of change), so that a second start
does not read the source at all. Entries are written beside and renamed, so that two processes may do it at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import platformdirs

from fer_search.data.raw import Raw

VERSION = 1  # of the entries; raise it when the same source would be read differently
ARRAYS = ("images", "labels", "splits")


def cache_folder() -> Path:
    """Return the user's cache folder: $FER_SEARCH_CACHE, or the system's usual place."""
    given = os.environ.get("FER_SEARCH_CACHE")
    return Path(given) if given else platformdirs.user_cache_path("fer-search")


def look(path: Path) -> str:
    """Return a key for what a file or folder looks like from outside: its paths, sizes and times of change."""
    digest = hashlib.sha256(f"{VERSION} {path.resolve()}".encode())
    for folder, names, files in os.walk(path) if path.is_dir() else [(str(path.parent), [], [path.name])]:
        names.sort()
        for name in sorted(files):
            state = os.stat(os.path.join(folder, name))
            digest.update(f"{folder}/{name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:24]


def cached(key: str, read: Callable[[], Raw], folder: Path | None = None) -> Raw:
    """Return what ``read`` gives, from the cache if it holds the key.

    Args:
        key: names the entry.
        read: reads the source; called where there is no entry, or a damaged one.
        folder: the cache folder, instead of the user's.
    """
    entry = (folder or cache_folder()) / "data" / key
    found = _open(entry)
    if found is None:
        raw = read()
        try:
            _store(entry, raw)
        except OSError:
            return raw  # no room or no permission: the cache is a convenience
        found = _open(entry)
        return raw if found is None else found
    return found


def _open(entry: Path) -> Raw | None:
    try:
        about = json.loads((entry / "about.json").read_text(encoding="utf-8"))
        arrays = [np.load(entry / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS]
        whole = [list(array.shape) for array in arrays] == about["shapes"]
        return Raw(*arrays, about["form"], tuple(about["notes"])) if whole else None
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _store(entry: Path, raw: Raw) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".", dir=entry.parent))
    try:
        arrays = {name: getattr(raw, name) for name in ARRAYS}
        for name, array in arrays.items():
            np.save(beside / f"{name}.npy", array)
        shapes = [list(array.shape) for array in arrays.values()]
        (beside / "about.json").write_text(json.dumps({"form": raw.form, "notes": raw.notes, "shapes": shapes}))
        shutil.rmtree(entry, ignore_errors=True)  # a damaged one
        beside.rename(entry)
    except OSError:
        shutil.rmtree(beside, ignore_errors=True)
        if not entry.exists():  # otherwise another process was faster
            raise
