"""Parsed data sets, kept in the user's cache folder as .npy files that open memory-mapped.

    sources/KEY.json              what a source held: its format, classes, notes and the fingerprint of the content
    data/FINGERPRINT/images.npy   the content; also labels.npy, splits.npy and, for files, names.npy

A source's key is made of its paths, sizes and modification times, so that a second start does not read the source. The
content is verified against its fingerprint whenever it is opened, which takes a twentieth of a second for FER2013.
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
from fer_search.data.options import DataOptions
from fer_search.data.raw import RawData
from fer_search.data.walk import walk
from fer_search.files import write_atomic, write_json

VERSION = 4  # of the entries; raise it when the same source would be read differently
ARRAYS = ("images", "labels", "splits")


def cache_folder() -> Path:
    """Return the user's cache folder: $FER_SEARCH_CACHE, or the system's usual place."""
    given = os.environ.get("FER_SEARCH_CACHE")
    return Path(given) if given else platformdirs.user_cache_path("fer-search")


def source_key(path: Path, options: DataOptions) -> str:
    """Return the cache key of a source: of its paths, sizes and modification times, and of the options."""
    digest = hashlib.sha256(f"{VERSION} {path.resolve()} {json.dumps(options.to_dict())}\n".encode())
    for name in walk(path) if path.is_dir() else [""]:
        state = os.stat(os.path.join(path, name) if name else path)
        digest.update(f"{name} {state.st_size} {state.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:24]


def cached(key: str, read: Callable[[], RawData], folder: Path | None = None) -> RawData:
    """Return the result of ``read``, from the cache if it holds the key.

    Args:
        key: Key of the source.
        read: Reads the source; called if the cache does not hold it or holds it damaged.
        folder: Cache folder, instead of the user's.

    Returns:
        The content; its arrays are memory-mapped and read-only, unless the cache cannot be written.
    """
    folder = folder or cache_folder()
    entry = _open(folder, key)
    if entry is not None:
        return entry
    raw = read()
    try:
        _store(folder, key, raw)
    except OSError:
        return raw  # no space or no permission: the cache is only an optimisation
    return _open(folder, key) or raw


def _open(folder: Path, key: str) -> RawData | None:
    try:
        about = json.loads((folder / "sources" / f"{key}.json").read_text(encoding="utf-8"))
        entry, classes = folder / "data" / about["content"], tuple(about["classes"])
        images, labels, splits = (np.load(entry / f"{name}.npy", "r", allow_pickle=False) for name in ARRAYS)
        if fingerprint(images, labels, splits, classes) != about["content"]:
            return None
        names = np.load(entry / f"{about['names']}.npy", "r", allow_pickle=False) if about["names"] else None
        return RawData(images, labels, splits, about["form"], tuple(about["notes"]), classes, names)
    except (OSError, ValueError, LookupError, TypeError, EOFError):
        return None


def _store(folder: Path, key: str, raw: RawData) -> None:
    """Write the arrays, then the source's entry; several processes may do so at once with the same result."""
    content = fingerprint(raw.images, raw.labels, raw.splits, raw.classes)
    entry, sources = folder / "data" / content, folder / "sources"
    for made in (entry, sources):
        made.mkdir(parents=True, exist_ok=True)
    for name in ARRAYS:
        array = getattr(raw, name)
        if isinstance(array, np.memmap) and array.filename and Path(array.filename).name.startswith(".reading-"):
            array.flush()
            os.replace(array.filename, entry / f"{name}.npy")
        else:
            write_atomic(entry / f"{name}.npy", partial(np.save, arr=array))
    names = ""
    if raw.names is not None:  # two sources may hold the same images under different names
        names = f"names-{key}"
        write_atomic(entry / f"{names}.npy", partial(np.save, arr=raw.names))
    about = {"form": raw.form, "notes": raw.notes, "content": content, "classes": raw.classes, "names": names}
    write_json(sources / f"{key}.json", about)


def cached_array(name: str, make: Callable[[], np.ndarray], folder: Path | None = None) -> np.ndarray:
    """Return an array that is expensive to compute, from the cache if it is there.

    Args:
        name: File name without suffix; it must determine the content.
        make: Computes the array.
        folder: Cache folder, instead of the user's.
    """
    path = _derived(name, folder)
    try:
        array: np.ndarray = np.load(path, allow_pickle=False)
        return array
    except (OSError, ValueError, EOFError):
        array = make()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, partial(np.save, arr=array))
    except OSError:
        pass  # the cache is only an optimisation
    return array


def is_cached(name: str, folder: Path | None = None) -> bool:
    """Return whether ``cached_array`` has an array."""
    return _derived(name, folder).exists()


def _derived(name: str, folder: Path | None) -> Path:
    return (folder or cache_folder()) / "derived" / f"{name}.npy"
