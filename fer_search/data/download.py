"""Downloading public Kaggle data sets with kagglehub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fer_search.data.cache import cache_folder
from fer_search.data.find import DOWNLOADED
from fer_search.errors import UserError
from fer_search.files import write_json

SETS = {"fer2013": "msambare/fer2013", "emotion-detection": "ananthu017/emotion-detection-fer"}


def download(which: str = "fer2013", fetch: Callable[[str], str] | None = None, cache_dir: Path | None = None) -> Path:
    """Download a data set and remember it for ``--data auto``.

    Args:
        which: Key of SETS.
        fetch: Takes a Kaggle handle and returns the folder; by default kagglehub.dataset_download, which stores,
            verifies and resumes downloads.
        cache_dir: Cache folder, instead of the user's.

    Returns:
        The folder that holds the data.

    Raises:
        UserError: The set is unknown, kagglehub is missing, or the download failed.
    """
    if which not in SETS:
        raise UserError(f"data download: {which!r} is unknown; choose {' or '.join(SETS)}")
    fetch = fetch or _kagglehub()
    try:
        path = Path(fetch(SETS[which]))
    except Exception as error:  # kagglehub raises many types: no network, no credentials, removed
        reason = str(error).strip().splitlines()
        raise UserError(
            f"data download: {SETS[which]} could not be fetched ({reason[0] if reason else type(error).__name__}); "
            "check the network and your Kaggle credentials, or download it manually and give --data its path"
        ) from error
    folder = cache_dir or cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / DOWNLOADED, {"path": str(path.resolve()), "set": SETS[which]})
    return path


def _kagglehub() -> Callable[[str], str]:
    try:
        from kagglehub import dataset_download
    except ImportError as error:
        raise UserError("data download needs kagglehub: pip install '.[kaggle]'") from error
    download: Callable[[str], str] = dataset_download
    return download
