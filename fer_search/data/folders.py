"""Class folders, in a folder or an archive: train/angry/*.png, or angry/*.png without splits."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from fer_search.data.dataset import TRAIN
from fer_search.data.images import decode_all, is_picture_name
from fer_search.data.labels import parse_rules, resolve_labels
from fer_search.data.limits import read_picture
from fer_search.data.options import DataOptions
from fer_search.data.presets import ALIASES, FILE_NAMES
from fer_search.data.raw import RawData
from fer_search.data.splits import split_of
from fer_search.data.walk import walk
from fer_search.errors import UserError

LITTER = ("thumbs.db", "desktop.ini")  # files that operating systems leave in picture folders
# Of notes and lists among the pictures. Files of other names count: a picture is not left out for want of a suffix.
NOT_PICTURES = (".txt", ".md", ".csv", ".json", ".xml", ".html", ".log", ".yaml", ".yml", ".pdf", ".py")

Reader = Callable[[str], bytes]


def read_folders(folder: Path, options: DataOptions, cache: Path | None = None) -> RawData:
    """Read class folders.

    Raises:
        UserError: Splits or classes are ambiguous or unknown, or a file is not an image; the message names it.
    """
    return read_names(str(folder), list(walk(folder)), lambda name: read_picture(folder / name), options, cache)


def is_picture(name: str) -> bool:
    """Return whether a file counts as a picture: by its name, or because it is in a class folder of a split."""
    parts = name.lower().split("/")
    in_class = len(parts) > 2 and split_of(parts[-3]) is not None
    in_class = in_class and parts[-1] not in LITTER and not parts[-1].endswith(NOT_PICTURES)
    return in_class or is_picture_name(parts[-1])


def read_names(
    source: str, names: Sequence[str], read: Reader, options: DataOptions, cache: Path | None = None
) -> RawData:
    """Read pictures given by their paths.

    Args:
        source: Name of the source in messages.
        names: Paths of all files, with "/".
        read: Returns the content of a path.
        options: Classes, size and colour.
        cache: Cache folder, for images too large for memory.
    """
    pictures = [name for name in names if is_picture(name)]
    folders = sorted({_folder(name) for name in pictures})
    by_file = parse_rules(options).file_names
    splits = _splits(source, folders, bool(by_file))
    texts = _labels(source, pictures, splits, options)
    resolved = resolve_labels(
        texts,
        options,
        lambda row: f"{source}: {'file ' + pictures[row] if by_file else 'class folder ' + _folder(pictures[row])}:",
        source,
    )
    kept = [row for row in range(len(pictures)) if resolved.kept[row]]
    # By split, class and name, so that the same files come in the same order whatever the folders are called.
    kept.sort(key=lambda row: (splits[_folder(pictures[row])], int(resolved.labels[row]), pictures[row]))
    ordered = [pictures[row] for row in kept]
    contents = [(f"{source}/{name}", lambda name=name: read(name)) for name in ordered]
    images, notes = decode_all(contents, options, cache)
    return RawData(
        images,
        resolved.labels[kept],
        np.array([splits[_folder(name)] for name in ordered], np.uint8),
        "class folders",
        (*notes, *resolved.notes),
        resolved.classes,
        np.array([name.encode() for name in ordered]) if ordered else None,
    )


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _splits(source: str, folders: Sequence[str], flat: bool = False) -> dict[str, int]:
    """Return the split of each folder that holds pictures; all are train if no folder names a split.

    Args:
        source: Name of the source in messages.
        folders: Folders that hold pictures.
        flat: Whether pictures may lie directly in the split folders.

    Raises:
        UserError: A split occurs at several places, or some folders are in no split while others are.
    """
    places: dict[str, tuple[str, int]] = {}  # folder -> path of its split folder, split
    for folder in folders:
        parts = folder.split("/")
        depth = next((k for k, part in enumerate(parts) if split_of(part) is not None), None)
        if depth is not None:
            places[folder] = "/".join(parts[: depth + 1]), int(split_of(parts[depth]) or 0)
    if not places:
        return dict.fromkeys(folders, TRAIN)
    stray = [folder for folder in folders if folder not in places or (folder == places[folder][0] and not flat)]
    stray += [folder for folder in places if folder.count("/") > places[folder][0].count("/") + 1]
    if stray:
        inside = f"{stray[0]}/" if stray[0] else "it"
        raise UserError(
            f"{source}: {inside} holds pictures but is not a class folder of train/ or test/; move or remove them"
        )
    roots = sorted({path for path, _ in places.values()})
    parents = {os.path.dirname(path) for path in roots}
    by_split: dict[int, list[str]] = {}
    for path, split in sorted(set(places.values())):
        by_split.setdefault(split, []).append(path)
    for paths in by_split.values():
        if len(paths) > 1:
            listed = " and ".join(f"{path}/" for path in paths)
            raise UserError(f"{source}: {listed} are the same split; give --data the folder of one data set")
    if len(parents) > 1:
        listed = ", ".join(f"{path}/" for path in roots)
        raise UserError(f"{source}: {listed} are not beside each other; give --data the folder of one data set")
    return {folder: split for folder, (_, split) in places.items()}


def _labels(source: str, pictures: Sequence[str], splits: dict[str, int], options: DataOptions) -> list[str]:
    """Return the label of each picture as it stands in the source: its folder's name, or part of its file name."""
    rules = parse_rules(options)
    if rules.file_names:
        pattern, codes, _ = FILE_NAMES[rules.file_names]
        return [_file_label(source, name, pattern, codes, rules.file_names) for name in pictures]
    depths = {_folder(name).count("/") for name in pictures}
    flat = [name for name in pictures if not _folder(name)]
    if flat:
        hint = _file_name_hint(flat)
        raise UserError(f"{source}: {flat[0]} is in no class folder; {hint}")
    if len(depths) > 1 or len({PurePosixPath(_folder(name)).parent for name in pictures}) > len(set(splits.values())):
        odd = min((_folder(name) for name in pictures), key=lambda f: PurePosixPath(f).name.lower() in ALIASES)
        raise UserError(
            f"{source}: {odd}/ holds pictures but is not a class folder beside the others; move or remove them"
        )
    return [PurePosixPath(_folder(name)).name for name in pictures]


def _file_label(source: str, name: str, pattern: re.Pattern[str], codes: dict[str, str], preset: str) -> str:
    match = pattern.match(PurePosixPath(name).name)
    if match is None or match[1].upper() not in codes:
        raise UserError(f"{source}: file {name} is not named as in {preset.upper()} (--map {preset}); remove it")
    return codes[match[1].upper()]


def _file_name_hint(names: Sequence[str]) -> str:
    for preset, (pattern, _, _) in FILE_NAMES.items():
        if pattern.match(PurePosixPath(names[0]).name):
            return f"its name looks like {preset.upper()}'s: --map {preset} reads the emotion from it"
    return "put pictures in train/CLASS/ and test/CLASS/, or in CLASS/"
