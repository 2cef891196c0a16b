"""Reading one source, whose format is told by its content."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fer_search.data.dataset import SPLITS
from fer_search.data.dialect import refuse_lfs_pointer
from fer_search.data.find import FILES, GET_DATA
from fer_search.data.images import is_picture_name
from fer_search.data.limits import Total, open_file
from fer_search.data.options import DataOptions
from fer_search.data.raw import RawData
from fer_search.data.splits import split_of
from fer_search.data.walk import walk
from fer_search.errors import UserError

HDF5 = b"\x89HDF\r\n\x1a\n"


def read(path: Path, options: DataOptions | None = None, cache: Path | None = None) -> RawData:
    """Read a source.

    Args:
        path: File or folder.
        options: Classes, size and colour.
        cache: Cache folder, for images too large for memory.

    Raises:
        UserError: It has none of the known formats, or is invalid.
        OSError: It cannot be opened.
    """
    options = options or DataOptions()
    if path.is_dir():
        return _read_folder(path, options, cache)
    with open_file(path) as file:
        start = file.read(512)
    refuse_lfs_pointer(start, str(path))
    suffix = path.suffix.lower()
    from fer_search.data import archives, arrays, listing, parquet, table

    if start.startswith(b"PK") or suffix in (".zip", ".npz"):
        return archives.read_zip(path, options, cache)
    if start.startswith(b"\x1f\x8b") or suffix in (".gz", ".tgz"):
        return archives.read_gzip(path, options, cache)
    if start[257:262] == b"ustar" or suffix == ".tar":
        return archives.read_tar(path, options, cache)
    if start.startswith(HDF5) or suffix in (".h5", ".hdf5"):
        return arrays.read_hdf5(path, options, cache)
    if start.startswith(b"PAR1") or suffix == ".parquet":
        return parquet.read_parquet([path], options, cache)
    if listing.is_listing(path):
        return listing.read_listing(path, options, cache)
    if b"emotion" in start.split(b"\n")[0].lower() or suffix == ".csv":
        return table.read_csv(path, options)
    raise UserError(f"{path} is neither fer2013.csv, nor a .zip, nor an .npz file; {GET_DATA}")


def _read_folder(path: Path, options: DataOptions, cache: Path | None) -> RawData:
    """Read class folders, files that belong together, or the one file in the folder that holds a data set."""
    from fer_search.data import archives, folders, listing, parquet

    inside = [p for p in sorted(path.iterdir()) if not p.name.startswith(".")]
    if not inside:
        raise UserError(f"{path} is empty; {GET_DATA}")
    names = list(walk(path))
    votes = [path / name for name in names if name.rpartition("/")[2] == "label.csv"]
    if votes:
        return listing.read_ferplus_folders(path, votes, options, cache)
    parquets = [path / name for name in names if name.lower().endswith(".parquet")]
    if parquets:
        return parquet.read_parquet(parquets, options, cache)
    if any(is_picture_name(name) for name in names) or any(p.is_dir() and split_of(p.name) is not None for p in inside):
        return folders.read_folders(path, options, cache)
    joined = _read_together(inside, path, options, cache)
    if joined is not None:
        return joined
    files = [p for p in inside if p.name.lower() in archives.KAGGLE_CSV]
    files = files or [p for p in inside if p.suffix.lower() in FILES]
    subfolders = [p for p in inside if p.is_dir() and p.name != "__MACOSX"]
    if len(files) == 1 or (len(subfolders) == 1 and not files):
        return read((files or subfolders)[0], options, cache)
    if files:
        raise UserError(f"{path} holds {', '.join(p.name for p in files)}; give --data the one that you mean")
    raise UserError(f"{path} holds neither train/ and test/ nor a .csv, .npz or .zip file; {GET_DATA}")


def _read_together(inside: list[Path], path: Path, options: DataOptions, cache: Path | None) -> RawData | None:
    """Read files that make up one data set: .npy arrays, or train.csv and test.csv; None if there are none such."""
    from fer_search.data import archives, arrays, table

    npys = {p.stem: p for p in inside if p.suffix.lower() == ".npy"}
    if npys:
        return arrays.read_npy_files(npys, str(path), options, cache)
    if any(p.name.lower() in archives.KAGGLE_CSV for p in inside):
        return None
    tables = {p: split for p in inside if p.suffix.lower() == ".csv" and (split := split_of(p.stem)) is not None}
    if len(tables) < 2:
        return None
    parts, notes, total = [], [], Total(str(path))
    for file, split in sorted(tables.items(), key=lambda item: item[1]):
        if split and not _has_labels(file):
            notes.append(f"{file.name} has no labels and is not used")
            continue
        total.add(file.stat().st_size)
        parts.append(table.read_csv(file, options, split))
    return _stack(parts, notes, str(path))


def _has_labels(file: Path) -> bool:
    from fer_search.data.dialect import open_csv
    from fer_search.data.table import LABEL_COLUMNS

    with open_file(file) as stream:
        header = open_csv(stream, str(file))[2]
    return any(name.lower() in LABEL_COLUMNS for name in header)


def _stack(parts: list[RawData], notes: list[str], path: str) -> RawData:
    classes = parts[0].classes
    for part in parts[1:]:
        if part.classes != classes:
            raise UserError(
                f"{path}: its files have different classes, {', '.join(classes)} and {', '.join(part.classes)}; choose "
                "those that you want with --classes"
            )
    images, labels, splits = (np.concatenate([getattr(p, n) for p in parts]) for n in ("images", "labels", "splits"))
    order = np.argsort(splits == len(SPLITS) - 1, kind="stable")
    every = dict.fromkeys(note for part in parts for note in part.notes)
    return RawData(images[order], labels[order], splits[order], "csv", (*every, *notes), classes)
