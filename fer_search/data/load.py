"""Finding and reading a data set in whatever form it is in."""

from __future__ import annotations

import json
import os
import zipfile
from itertools import chain
from pathlib import Path

import numpy as np

from fer_search.data import toy
from fer_search.data.cache import cache_folder, cached, look
from fer_search.data.dataset import CLASSES, SPLITS, Dataset, check
from fer_search.data.images import SPLIT_FOLDERS
from fer_search.data.raw import RawData
from fer_search.errors import UserError

REMEMBERED = "downloaded.json"  # in the cache folder: where ``fer-search data download`` put the data
FILES = (".csv", ".npz", ".zip", ".gz", ".tgz")
FER2013_TRAIN = (3995, 436, 4097, 7215, 4830, 3171, 4965)  # its training images of each class
FER2013_TEST = 7178
GET_DATA = "get FER2013 with `fer-search data download` or give --data its folder, .zip, .csv or .npz"


def load_dataset(
    source: str = "auto", *, labels: str = "fer2013", ferplus_csv: Path | None = None, cache_dir: Path | None = None
) -> Dataset:
    """Read a data set, from the cache where it was read before.

    Args:
        source: a folder, .zip, .csv or .npz; "toy"; or "auto", which takes FER2013 where it finds it (``data/``,
            ``$FER_SEARCH_DATA``, what ``fer-search data download`` put in the cache) and otherwise the toy faces.
        labels: "fer2013" for the data set's own, "ferplus" for the majority of FER+'s votes.
        ferplus_csv: FER+'s fer2013new.csv, needed for "ferplus".
        cache_dir: instead of the user's cache folder.

    Raises:
        UserError: the source is missing or wrong; one line that names the file and the way out.
    """
    folder = cache_dir or cache_folder()
    if labels == "ferplus" and ferplus_csv is None:
        raise UserError("--labels ferplus needs --ferplus-csv FILE, FER+'s fer2013new.csv")
    if source == "auto":
        found = find(folder)
        source = str(found) if found else "toy"
    if source == "toy":
        if labels == "ferplus":
            raise UserError("--labels ferplus is of FER2013; the toy faces have no such votes")
        raw = cached(f"toy-{toy.VERSION}", _toy, folder)
        return Dataset(raw.images, raw.labels, raw.splits, "toy faces (drawn, not FER2013)", "toy", True)
    path = Path(source)
    try:
        if not path.exists():
            raise UserError(f"--data {source}: no such file or folder; {GET_DATA}")
        raw = cached(look(path), lambda: read(path), folder)
    except OSError as error:
        raise UserError(f"{error.filename or source} cannot be read ({error.strerror}); {GET_DATA}") from error
    name = _name(raw)
    if labels == "ferplus":
        from fer_search.data.ferplus import relabel

        assert ferplus_csv is not None
        raw, name = relabel(raw, ferplus_csv), f"{name}, labels of FER+"
    check(raw.labels, raw.splits, source)
    return Dataset(raw.images, raw.labels, raw.splits, name, source, False, raw.notes)


def find(folder: Path) -> Path | None:
    """Return where --data auto finds a data set, if anywhere; ``folder`` is the cache folder."""
    given = os.environ.get("FER_SEARCH_DATA")
    if given and not Path(given).exists():
        raise UserError(f"FER_SEARCH_DATA={given}: no such file or folder; {GET_DATA}")
    if _holds_data(Path("data")):
        return Path("data")
    if given:
        return Path(given)
    try:
        remembered = Path(json.loads((folder / REMEMBERED).read_text(encoding="utf-8"))["path"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return remembered if remembered.exists() else None


def _holds_data(folder: Path) -> bool:
    """Whether a folder has a data set in it or one level down; many projects have a data/ with something else."""
    return folder.is_dir() and any(
        p.is_dir() if p.name.lower() in SPLIT_FOLDERS else p.suffix.lower() in FILES
        for p in chain(folder.iterdir(), folder.glob("*/*"))
    )


def read(path: Path) -> RawData:
    """Read a source, told apart by its content.

    Raises:
        UserError: it is none of the known forms, or is wrong.
        OSError: it cannot be opened.
    """
    if path.is_dir():
        return _read_folder(path)
    with path.open("rb") as file:
        start = file.read(512)
    if start.startswith(b"PK") or path.suffix.lower() in (".zip", ".npz"):
        return _read_zip(path)
    if start.startswith(b"\x1f\x8b") or path.suffix.lower() in (".gz", ".tgz"):
        from fer_search.data.packed import read_gzip

        return read_gzip(path)
    if b"emotion" in start.split(b"\n")[0].lower() or path.suffix.lower() == ".csv":
        from fer_search.data.table import read_csv

        return read_csv(path)
    raise UserError(f"{path} is neither fer2013.csv, nor a .zip, nor an .npz file; {GET_DATA}")


def _read_zip(path: Path) -> RawData:
    """Read a zip of pictures, of arrays (which is what an .npz file is), or of a csv or npz file."""
    from fer_search.data import arrays, images, packed

    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if any(name.endswith(".npy") for name in names):
                return arrays.read_npz(path, str(path))
            member = None if any(map(images.is_picture, names)) else packed.data_member(names)
            if member is not None:
                return packed.read_member(archive, member, path)
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{path} is not a whole {path.suffix} file ({error}); download it again") from error
    return images.read_zip(path)


def _read_folder(path: Path) -> RawData:
    """Read class folders, or the one file in the folder that holds a data set."""
    from fer_search.data.images import read_folders
    from fer_search.data.packed import KAGGLE_CSV

    inside = [p for p in sorted(path.iterdir()) if not p.name.startswith(".")]
    if not inside:
        raise UserError(f"{path} is empty; {GET_DATA}")
    if any(p.is_dir() and p.name.lower() in SPLIT_FOLDERS for p in inside):
        return read_folders(path)
    files = [p for p in inside if p.name.lower() in KAGGLE_CSV] or [p for p in inside if p.suffix.lower() in FILES]
    folders = [p for p in inside if p.is_dir() and p.name != "__MACOSX"]
    if len(files) == 1 or (len(folders) == 1 and not files):
        return read((files or folders)[0])
    if files:
        raise UserError(f"{path} holds {', '.join(p.name for p in files)}; give --data the one that you mean")
    raise UserError(f"{path} holds neither train/ and test/ nor a .csv, .npz or .zip file; {GET_DATA}")


def describe(dataset: Dataset) -> str:
    """Return in plain words what was found where and, for the toy faces, how to get the real data."""
    counts = ", ".join(
        f"{int((dataset.splits == k).sum()):,} {name.replace('_', ' ')}"
        for k, name in enumerate(SPLITS)
        if (dataset.splits == k).any()
    )
    if dataset.toy:
        return (
            f"Data: toy faces, drawn by a program, not FER2013: {counts}. What they show says nothing about real "
            f"faces; {GET_DATA}."
        )
    notes = "".join(f" Note: {note}." for note in dataset.notes)
    return f"Data: {dataset.name} from {dataset.source}: {counts}.{notes}"


def _toy() -> RawData:
    images, labels, splits = toy.draw_faces()
    return RawData(images, labels, splits, "toy")


def _name(raw: RawData) -> str:
    """What to call it: FER2013 where it has as many images of each class."""
    train = np.bincount(raw.labels[raw.splits == 0], minlength=len(CLASSES))
    original = (*train, int((raw.splits != 0).sum())) == (*FER2013_TRAIN, FER2013_TEST)
    return f"{'FER2013' if original else f'{len(raw.labels):,} faces'} ({raw.form})"
