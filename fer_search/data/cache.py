"""Parsed data sets, kept in the user's cache folder as .npy files that open memory-mapped.

    sources/KEY.json              what a source held: its form, the reader's notes and the fingerprint of the content
    data/FINGERPRINT/images.npy   the content, and so labels.npy and splits.npy

A source's key is what it looks like from outside (paths, sizes, times of change), so that a second start does not read
the source at all. The content is checked against its fingerprint whenever it is opened, in a twentieth of a second.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import platformdirs

from fer_search.data.dataset import fingerprint
from fer_search.data.raw import RawData
from fer_search.data.walk import walk
from fer_search.files import write_atomic, write_json

VERSION = 3  # of the entries; raise it when the same source would be read differently
ARRAYS = ("images", "labels", "splits")


def cache_folder() -> Path:
    """Return the user's cache folder: $FER_SEARCH_CACHE, or the system's usual place."""
    given = os.environ.get("FER_SEARCH_CACHE")
    return Path(given) if given else platformdirs.user_cache_path("fer-search")


def look(path: Path) -> str:
    """Return a key for what a file or folder looks like from outside: its paths, sizes and times of change."""
    digest = hashlib.sha256(f"{VERSION} {path.resolve()}".encode())
    for name in walk(path) if path.is_dir() else [""]:
        state = os.stat(os.path.join(path, name) if name else path)
        digest.update(f"{name} {state.st_size} {state.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:24]


def cached(key: str, read: Callable[[], RawData], folder: Path | None = None) -> RawData:
    """Return what ``read`` gives, from the cache if it holds the key.

    Args:
        key: names the source.
        read: reads the source; called where the cache does not hold it, or holds it damaged.
        folder: the cache folder, instead of the user's.

    Returns:
        The content; its arrays are memory-mapped and read-only, unless the cache cannot be written.
    """
    folder = folder or cache_folder()
    found = _open(folder, key)
    if found is not None:
        return found
    raw = read()
    try:
        _store(folder, key, raw)
    except OSError:
        return raw  # no room or no permission: the cache is a convenience
    return _open(folder, key) or raw


def _open(folder: Path, key: str) -> RawData | None:
    try:
        about = json.loads((folder / "sources" / f"{key}.json").read_text(encoding="utf-8"))
        entry = folder / "data" / about["content"]
        images, labels, splits = (np.load(entry / f"{name}.npy", "r", allow_pickle=False) for name in ARRAYS)
        if fingerprint(images, labels, splits) != about["content"]:
            return None
        return RawData(images, labels, splits, about["form"], tuple(about["notes"]))
    except (OSError, ValueError, LookupError, TypeError, EOFError):
        return None


def _store(folder: Path, key: str, raw: RawData) -> None:
    """Write the arrays, then the source's entry; several processes may do it at once, with the same outcome."""
    content = fingerprint(raw.images, raw.labels, raw.splits)
    entry, sources = folder / "data" / content, folder / "sources"
    for made in (entry, sources):
        made.mkdir(parents=True, exist_ok=True)
    for name in ARRAYS:
        write_atomic(entry / f"{name}.npy", partial(np.save, arr=getattr(raw, name)))
    write_json(sources / f"{key}.json", {"form": raw.form, "notes": raw.notes, "content": content})
