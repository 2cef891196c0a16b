"""Files that list pictures with their labels: ``path label`` lines, csv with a path column, FER+'s label.csv."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from fer_search.data.dataset import TRAIN
from fer_search.data.dialect import open_csv, refuse_lfs_pointer
from fer_search.data.images import decode_all, is_picture_name
from fer_search.data.labels import resolve_labels
from fer_search.data.limits import Total, open_file, read_lines, read_picture
from fer_search.data.options import DataOptions
from fer_search.data.raw import RawData
from fer_search.data.splits import split_of, split_of_file
from fer_search.data.table import LABEL_COLUMNS, USAGE_COLUMNS
from fer_search.errors import UserError

PATH_COLUMNS = ("path", "file", "filename", "file_name", "image", "image_path", "img", "name", "pth")
FERPLUS_VOTES = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt")  # then unknown, NF
FERPLUS_COLUMNS = 12  # file, box, and ten votes

Entry = tuple[str, str, int]  # path, label, split


def is_listing(path: Path) -> bool:
    """Return whether a text file lists pictures: its first line, or its header, says so."""
    try:
        with open_file(path) as file:
            start = file.read(4096)
            if path.suffix.lower() == ".csv":
                file.seek(0)
                header = [name.lower() for name in open_csv(file, str(path))[2]]
                return bool(set(header) & set(PATH_COLUMNS)) and "pixels" not in header
        words = start.decode("utf-8", "replace").splitlines()[:1]
        return bool(words) and len(words[0].split()) >= 2 and is_picture_name(words[0].split()[0])
    except (OSError, csv.Error, UserError):
        return False


def read_listing(path: Path, options: DataOptions, cache: Path | None = None) -> RawData:
    """Read the pictures that a file lists; their paths are relative to its folder.

    Raises:
        UserError: A listed picture is missing or broken, or its label is unknown; the message names it.
    """
    entries = list(_csv_entries(path) if path.suffix.lower() == ".csv" else _text_entries(path))
    return read_entries(str(path), path.parent, entries, "list", options, cache)


def read_ferplus_folders(folder: Path, labels: Sequence[Path], options: DataOptions, cache: Path | None) -> RawData:
    """Read folders of FER+, each with pictures and a label.csv of ten votes per picture.

    The label is the answer with the most votes. Pictures without a single such answer, or where it is unknown or "not
    a face", are left out.
    """
    entries: list[Entry] = []
    unclear, total = 0, Total(f"{folder}: label.csv")
    for file in labels:
        split = split_of(file.parent.name)
        if split is None:
            raise UserError(f"{file}: its folder {file.parent.name} names no split; call it FER2013Train, ...")
        with open_file(file) as opened:
            total.add(os.fstat(opened.fileno()).st_size)
            lines = (line.decode("utf-8", "replace") for line in read_lines(opened, str(file)))
            for number, row in enumerate(_csv_rows(lines, ",", file), 1):
                label = _majority(row, f"{file}, row {number}")
                if label is None:
                    unclear += 1
                else:
                    entries.append((f"{file.parent.relative_to(folder).as_posix()}/{row[0]}", label, split))
    raw = read_entries(str(folder), folder, entries, "FER+ folders", options, cache)
    note = f"labels are FER+ majority votes; {unclear:,} images without a clear one are left out"
    return RawData(raw.images, raw.labels, raw.splits, raw.form, (*raw.notes, note), raw.classes, raw.names)


def _majority(row: list[str], where: str) -> str | None:
    try:
        votes = [int(vote) for vote in row[2:FERPLUS_COLUMNS]]
    except ValueError as error:
        raise UserError(f"{where}: the votes are not numbers ({error})") from error
    if len(votes) != FERPLUS_COLUMNS - 2:
        raise UserError(f"{where}: {len(row)} columns instead of {FERPLUS_COLUMNS}; is it FER+'s label.csv?")
    best = max(votes)
    if votes.count(best) > 1 or votes.index(best) >= len(FERPLUS_VOTES):
        return None
    return FERPLUS_VOTES[votes.index(best)]


def _text_entries(path: Path) -> Iterator[Entry]:
    for number, line in enumerate(_text_lines(path), 1):
        words = line.replace(",", " ").replace("\t", " ").split()
        if not words:
            continue
        if len(words) < 2:
            raise UserError(f"{path}, line {number}: {line!r:.60} is not PATH LABEL or PATH LABEL SPLIT")
        given = words[2] if len(words) > 2 else ""
        yield words[0], words[1], _split_of_entry(words[0], given, f"{path}, line {number}")


def _text_lines(path: Path) -> Iterator[str]:
    with open_file(path) as file:
        refuse_lfs_pointer(file.peek(64), str(path))  # type: ignore[attr-defined]
        for number, line in enumerate(read_lines(file, str(path))):
            yield from line.decode("utf-8" if number else "utf-8-sig", "replace").splitlines()


def _csv_rows(lines: Iterable[str], separator: str, path: Path) -> Iterator[list[str]]:
    reader = csv.reader(lines, delimiter=separator)
    try:
        yield from reader
    except csv.Error as error:
        raise UserError(f"{path}, row {reader.line_num}: it is no line of a csv file ({error})") from error


def _csv_entries(path: Path) -> Iterator[Entry]:
    with open_file(path) as file:
        stream, dialect, header = open_csv(file, str(path))
        names = [name.lower() for name in header]
        kinds = (PATH_COLUMNS, LABEL_COLUMNS, USAGE_COLUMNS)
        columns = [next((names.index(c) for c in kind if c in names), -1) for kind in kinds]
        if columns[1] < 0:
            raise UserError(f"{path}: no column with the labels in its header ({', '.join(header)}); call it label")
        lines = (line.decode("utf-8", "replace") for line in read_lines(stream, str(path)))
        for number, row in enumerate(_csv_rows(lines, dialect.separator.decode(), path), 1):
            if not row:
                continue
            if len(row) <= max(columns):
                raise UserError(f"{path}, row {number}: {len(row)} columns instead of {len(header)}; is it cut short?")
            split = row[columns[2]] if columns[2] >= 0 else ""
            yield row[columns[0]], row[columns[1]], _split_of_entry(row[columns[0]], split, f"{path}, row {number}")


def _split_of_entry(name: str, given: str, where: str) -> int:
    """Return the split that a column, a folder of the path or the beginning of the file name gives; else train."""
    if given.strip():
        split = split_of(given)
        if split is None:
            raise UserError(f"{where}: {given!r:.40} is no split; write train, validation or test")
        return split
    found = [split for part in PurePosixPath(name).parts[:-1] if (split := split_of(part)) is not None]
    by_name = split_of_file(name)
    return found[0] if found else TRAIN if by_name is None else by_name


def read_entries(
    source: str, folder: Path, entries: Sequence[Entry], form: str, options: DataOptions, cache: Path | None
) -> RawData:
    """Read listed pictures, in the order of the list.

    Args:
        source: Name of the list in messages.
        folder: Folder that the paths are relative to.
        entries: Path, label and split of each picture.
        form: Name of the format.
        options: Classes, size and colour.
        cache: Cache folder, for images too large for memory.
    """
    labels = resolve_labels(
        [label for _, label, _ in entries], options, lambda row: f"{source}: {entries[row][0]!r}: label", source
    )
    kept = np.flatnonzero(labels.kept).tolist()
    files = [_locate(source, folder, entries[row][0]) for row in kept]
    contents = [(str(file), partial(read_picture, file)) for file in files]
    images, notes = decode_all(contents, options, cache)
    names = [entries[row][0].encode() for row in kept]
    return RawData(
        images,
        labels.labels[kept],
        np.array([entries[row][2] for row in kept], np.uint8),
        form,
        (*notes, *labels.notes),
        labels.classes,
        np.array(names) if names else None,
    )


def _locate(source: str, folder: Path, name: str) -> Path:
    path = folder / name.replace("\\", "/")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{source}: {name!r} lies outside of {folder}; list paths inside it")
    if not path.is_file():
        raise UserError(f"{source}: {name} is not in {folder}; the paths are relative to the list's folder")
    return path
