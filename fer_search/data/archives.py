"""Archives: .zip, .tar, .tar.gz, .gz, with class folders, a csv or arrays inside; nothing is unpacked to disk."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO

from fer_search.data.arrays import read_npz
from fer_search.data.folders import is_picture, read_names
from fer_search.data.limits import MAX_IMAGE_BYTES, bounded, check_archive, check_picture, open_file, read_member
from fer_search.data.options import DataOptions
from fer_search.data.raw import RawData
from fer_search.data.table import parse_csv
from fer_search.data.tars import TarError, tar_members
from fer_search.errors import UserError

KAGGLE_CSV = ("fer2013.csv", "icml_face_data.csv")  # other csv files lie beside them in Kaggle's archives
SUFFIXES = (".csv", ".npz", ".tar.gz")
DAMAGED = (zipfile.BadZipFile, TarError, zlib.error, EOFError, OSError)


def data_member(names: Iterable[str]) -> str | None:
    """Return the one file that holds a data set, Kaggle's own names first; None if there are none or several."""
    candidates = [name for name in names if name.lower().endswith(SUFFIXES) and "__MACOSX" not in name]
    known = [name for name in candidates if PurePosixPath(name).name.lower() in KAGGLE_CSV]
    candidates = known[:1] or candidates
    return candidates[0] if len(candidates) == 1 else None


def read_zip(path: Path, options: DataOptions, cache: Path | None = None) -> RawData:
    """Read a zip of pictures, of arrays (which is what an .npz file is), or of a csv or npz file.

    Raises:
        UserError: It is damaged, encrypted, has paths that leave it, or holds no data set.
    """
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            check_archive(archive, path)
            if any(name.endswith(".npy") for name in names):
                return read_npz(file, str(path), options, cache)
            normal = {member: member.replace("\\", "/") for member in names if not member.endswith(("/", "\\"))}
            _refuse_outside(normal.values(), path)
            pictures = any(is_picture(name) and not _hidden(name) for name in normal.values())
            member = None if pictures else data_member(names)
            if member is not None:
                return _read_member(archive, member, path, options, cache)
            return _read_pictures(archive, normal, path, options, cache)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        kind = path.suffix if isinstance(error, zipfile.BadZipFile) and "CRC" not in str(error) else "zip"
        raise UserError(f"{path} is not a whole {kind} file ({error}); download it again") from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or an unsupported compression
        raise UserError(f"{path} cannot be read ({error}); unpack it and give --data the folder") from error


def _read_pictures(
    archive: zipfile.ZipFile, normal: dict[str, str], path: Path, options: DataOptions, cache: Path | None
) -> RawData:
    members = {name: member for member, name in normal.items() if not _hidden(name)}
    content = {
        name: read_member(archive, member, path, MAX_IMAGE_BYTES)
        for name, member in members.items()
        if is_picture(name)
    }
    if not content:
        raise UserError(f"{path}: no class folders like train/angry/ in it; unpack it and give --data what it holds")
    return read_names(str(path), list(members), content.__getitem__, options, cache)


def _refuse_outside(names: Iterable[str], path: Path) -> None:
    kind = "zip" if path.suffix.lower() == ".zip" else "archive"
    for name in names:
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise UserError(f"{path}: {name!r} climbs out of the {kind} file; it is not safe to read")


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _read_member(archive: zipfile.ZipFile, name: str, path: Path, options: DataOptions, cache: Path | None) -> RawData:
    """Read a csv, an npz or a tar.gz in a zip file."""
    inner = f"{path}/{name}"
    try:
        if name.lower().endswith(".npz"):
            return read_npz(io.BytesIO(read_member(archive, name, path)), inner, options, cache)
        with archive.open(name) as file:
            if name.lower().endswith(".tar.gz"):
                return _read_tar(file, inner, options, cache)
            return parse_csv(file, inner, options)
    except DAMAGED as error:
        raise UserError(f"{inner} is not whole ({error}); download {path.name} again") from error


def read_gzip(path: Path, options: DataOptions, cache: Path | None = None) -> RawData:
    """Read a compressed csv, or a compressed tar file.

    Raises:
        UserError: It is damaged, or holds no data set.
    """
    try:
        with open_file(path) as file:
            if path.name.lower().endswith((".tar.gz", ".tgz")):
                return _read_tar(file, str(path), options, cache)
            with gzip.open(file) as unpacked:
                return parse_csv(bounded(unpacked, str(path)), str(path), options)  # type: ignore[arg-type]
    except DAMAGED as error:
        raise UserError(f"{path} is not a whole .gz file ({error}); download it again") from error


def read_tar(path: Path, options: DataOptions, cache: Path | None = None) -> RawData:
    """Read a plain tar file.

    Raises:
        UserError: It is damaged, or holds no data set.
    """
    try:
        with open_file(path) as file:
            return _read_tar(file, str(path), options, cache)
    except DAMAGED as error:
        raise UserError(f"{path} is not a whole .tar file ({error}); download it again") from error


def _read_tar(file: IO[bytes], path: str, options: DataOptions, cache: Path | None) -> RawData:
    """Read FER2013's csv, or the pictures, in a tar file; in one pass, since it may be a stream."""
    content: dict[str, bytes] = {}
    for member, data in tar_members(file, path):
        if _hidden(member.name.removeprefix("./")):
            continue
        if PurePosixPath(member.name).name.lower() in KAGGLE_CSV:
            return parse_csv(data, f"{path}/{member.name}", options)
        if is_picture(member.name):
            check_picture(member.size, f"{path}/{member.name}")
            content[member.name.removeprefix("./")] = data.read()
    if content:
        _refuse_outside(content, Path(path))
        return read_names(path, list(content), content.__getitem__, options, cache)
    raise UserError(
        f"{path}: no {' or '.join(KAGGLE_CSV)} in it, nor class folders; unpack it and give --data what it holds"
    )
