"""Where ``--data auto`` finds a data set."""

from __future__ import annotations

import json
import os
from itertools import islice
from pathlib import Path

from fer_search.data.images import is_picture_name
from fer_search.data.splits import split_of
from fer_search.data.walk import walk
from fer_search.errors import UserError

DOWNLOADED = "downloaded.json"  # in the cache folder: where ``fer-search data download`` put the data
FILES = (".csv", ".npz", ".npy", ".zip", ".gz", ".tgz", ".tar", ".h5", ".hdf5", ".parquet")
GET_DATA = "get FER2013 with `fer-search data download` or give --data its folder, .zip, .csv or .npz"
MAX_LOOKED_AT = 2000  # files looked at in ./data


def find_data(cache: Path) -> Path | None:
    """Return the data set that ``--data auto`` uses: ./data, $FER_SEARCH_DATA, or the last download.

    Args:
        cache: Cache folder.

    Raises:
        UserError: $FER_SEARCH_DATA does not exist.
    """
    given = os.environ.get("FER_SEARCH_DATA")
    if given and not Path(given).exists():
        raise UserError(f"FER_SEARCH_DATA={given}: no such file or folder; {GET_DATA}")
    if holds_data(Path("data")):
        return Path("data")
    if given:
        return Path(given)
    try:
        downloaded = Path(json.loads((cache / DOWNLOADED).read_text(encoding="utf-8"))["path"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return downloaded if downloaded.exists() else None


def holds_data(folder: Path) -> bool:
    """Return whether a folder holds pictures, or data files at most one level down; data/ may hold other things."""
    if not folder.is_dir():
        return False
    if any(path.is_dir() and split_of(path.name) is not None for path in folder.iterdir()):
        return True
    for name in islice(walk(folder), MAX_LOOKED_AT):
        parts = name.lower().split("/")
        if parts[-1].endswith(FILES) and len(parts) <= 2:
            return True
        if is_picture_name(parts[-1]) and len(parts) > 1:
            return True
    return False


def describe_unused(folder: Path = Path("data")) -> str:
    """Return what ./data holds that is not a data set, as a sentence; "" if there is nothing."""
    if not folder.is_dir() or holds_data(folder):
        return ""
    inside = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir() if not path.name.startswith("."))
    if not inside:
        return ""
    others = " and others" if len(inside) > 3 else ""
    return f"data/ is not used: it holds {', '.join(inside[:3])}{others}, no data set"
