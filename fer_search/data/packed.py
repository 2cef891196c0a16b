"""A csv or npz inside what it is downloaded in: a .zip (Kaggle), a .tar.gz (the challenge of 2013), a .gz."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO

from fer_search.data.arrays import read_npz
from fer_search.data.raw import RawData
from fer_search.data.table import parse_csv
from fer_search.errors import UserError

KAGGLE_CSV = ("fer2013.csv", "icml_face_data.csv")  # in Kaggle's archives and folders others lie beside them
SUFFIXES = (".csv", ".npz", ".tar.gz")
BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError)


def data_member(names: Iterable[str]) -> str | None:
    """Return the one name of a file that holds a data set, Kaggle's own names first; None if there is none such."""
    found = [name for name in names if name.lower().endswith(SUFFIXES) and "__MACOSX" not in name]
    known = [name for name in found if PurePosixPath(name).name.lower() in KAGGLE_CSV]
    found = known[:1] or found
    return found[0] if len(found) == 1 else None


def read_member(archive: zipfile.ZipFile, name: str, path: Path) -> RawData:
    """Read a csv, an npz or a tar.gz in a zip file.

    Raises:
        UserError: it is cut short, or not what its name says.
    """
    inner = f"{path}/{name}"
    try:
        with archive.open(name) as file:
            if name.lower().endswith(".npz"):
                return read_npz(io.BytesIO(file.read()), inner)
            return read_tar(file, inner) if name.lower().endswith(".tar.gz") else parse_csv(file, inner)
    except BROKEN as error:
        raise UserError(f"{inner} is not whole ({error}); download {path.name} again") from error


def read_gzip(path: Path) -> RawData:
    """Read a compressed csv, alone or in a tar file.

    Raises:
        UserError: it is cut short, or holds no csv.
    """
    try:
        with path.open("rb") as file:
            if path.name.lower().endswith((".tar.gz", ".tgz")):
                return read_tar(file, str(path))
            with gzip.open(file) as unpacked:
                return parse_csv(unpacked, str(path))  # type: ignore[arg-type]
    except BROKEN as error:
        raise UserError(f"{path} is not a whole .gz file ({error}); download it again") from error


def read_tar(file: IO[bytes], path: str) -> RawData:
    """Read the csv in a compressed tar file; nothing is unpacked to disk."""
    with tarfile.open(fileobj=file, mode="r|gz") as archive:
        for member in archive:
            if member.isfile() and PurePosixPath(member.name).name.lower() in KAGGLE_CSV:
                content = archive.extractfile(member)
                assert content is not None
                return parse_csv(content, f"{path}/{member.name}")
    raise UserError(f"{path}: no {' or '.join(KAGGLE_CSV)} in it; unpack it and give --data what it holds")
