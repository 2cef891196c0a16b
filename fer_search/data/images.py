"""Picture files -> uint8 (48, 48): class folders and zip files of them."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from fer_search.data.dataset import CLASSES, SIZE
from fer_search.data.raw import RawData
from fer_search.data.walk import walk
from fer_search.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg")
LITTER = ("thumbs.db", "desktop.ini")  # what systems leave in folders of pictures
# The two Kaggle layouts differ in the words: angry/disgusted/fearful/... and angry/disgust/fear/...
CLASS_FOLDERS = {name: c for c, name in enumerate(CLASSES)} | {
    "anger": 0,
    "disgusted": 1,
    "fearful": 2,
    "happiness": 3,
    "sadness": 4,
    "surprised": 5,
}
SPLIT_FOLDERS = {
    "train": 0,
    "training": 0,
    "publictest": 1,
    "public_test": 1,
    "privatetest": 2,
    "private_test": 2,
    "test": 3,
}
CHUNK = 256  # files a thread reads before it hands them over: one by one, the handing over takes longest

Content = Callable[[str], bytes]


def read_folders(folder: Path) -> RawData:
    """Read class folders (FOLDER/train/angry/*.png ...).

    Raises:
        UserError: a class folder is unknown, a file is no image; the message names it.
    """
    return _read(str(folder), list(walk(folder)), lambda name: (folder / name).read_bytes())


def read_zip(path: Path) -> RawData:
    """Read a zip file of class folders.

    Raises:
        UserError: the zip is broken, has paths that climb out of it, or as ``read_folders``.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member.filename for member in archive.infolist() if not member.is_dir()]
            for name in members:
                if name.startswith(("/", "\\")) or ".." in PurePosixPath(name.replace("\\", "/")).parts:
                    raise UserError(f"{path}: {name!r} climbs out of the zip file; it is not safe to read")
            names = [name for name in members if not _hidden(name)]
            content = {name: archive.read(name) for name in names if is_picture(name)}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise UserError(f"{path} is not a whole zip file ({error}); download it again") from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or compressed in a way of its own
        raise UserError(f"{path} cannot be read ({error}); unpack it and give --data the folder") from error
    if not content:
        raise UserError(f"{path}: no class folders like train/angry/ in it; unpack it and give --data what it holds")
    return _read(str(path), names, content.__getitem__)


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def is_picture(name: str) -> bool:
    """Whether a file counts: by its name, or because it lies in a class folder, where nothing else should."""
    parts = name.lower().split("/")
    in_class = len(parts) > 2 and parts[-3] in SPLIT_FOLDERS and parts[-1] not in LITTER
    return in_class or parts[-1].endswith(SUFFIXES)


def _read(source: str, names: Sequence[str], content: Content) -> RawData:
    pictures = [name for name in names if is_picture(name)]
    folders = {folder: _place(source, folder) for folder in sorted({_folder(name) for name in pictures})}
    # By split and class, so that the same files come in the same order whatever their folders are called.
    ordered = sorted(pictures, key=lambda name: (*folders[_folder(name)], name))
    chunks = [ordered[first : first + CHUNK] for first in range(0, len(ordered), CHUNK)]
    with ThreadPoolExecutor(min(8, 4 * (os.cpu_count() or 1))) as pool:  # more threads than cores: disks are slow
        decoded = [one for chunk in pool.map(lambda part: _decoded(source, part, content), chunks) for one in chunk]
    images = np.stack([d[0] for d in decoded]) if decoded else np.empty((0, SIZE, SIZE), np.uint8)
    splits, labels = (np.array([folders[_folder(name)][k] for name in ordered], np.uint8) for k in (0, 1))
    notes = conversions([d[1] for d in decoded], [d[2] for d in decoded])
    return RawData(images, labels, splits, "class folders", notes)


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _place(source: str, folder: str) -> tuple[int, int]:
    """Return the split and the class that a folder like [.../]train/angry names."""
    parts = folder.lower().split("/")
    at = next((k for k, part in enumerate(parts) if part in SPLIT_FOLDERS), None)
    if at is None or len(parts) != at + 2:
        inside = f"{folder}/" if folder else "it"
        raise UserError(
            f"{source}: {inside} holds pictures but is no class folder of train/ or test/; move or remove them"
        )
    if parts[-1] not in CLASS_FOLDERS:
        raise UserError(f"{source}: unknown class folder {folder}; known are {', '.join(CLASSES)}")
    return SPLIT_FOLDERS[parts[at]], CLASS_FOLDERS[parts[-1]]


def _decoded(source: str, names: Sequence[str], content: Content) -> list[tuple[np.ndarray, tuple[int, int], str]]:
    return [decode(content(name), f"{source}/{name}") for name in names]


def decode(data: bytes, name: str) -> tuple[np.ndarray, tuple[int, int], str]:
    """Decode one picture file.

    Returns:
        uint8 (48, 48), and the size and Pillow mode that the file had.

    Raises:
        UserError: the file is cut short or no image.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return fit(picture), picture.size, picture.mode
    except Exception as error:  # of many kinds: each of Pillow's formats has its own for broken files
        reason = "no image format is recognised" if "BytesIO" in str(error) else error
        raise UserError(f"{name} is cut short or not an image ({reason}); replace or remove it") from error


def fit(picture: Image.Image) -> np.ndarray:
    """Convert a picture to uint8 (48, 48): 8-bit grey, shrunk or enlarged without regard to its shape."""
    if picture.mode.startswith("I;16"):  # Pillow would cut 16 bits at 255 instead of scaling them
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    grey = picture if picture.mode == "L" else picture.convert("L")
    if grey.size != (SIZE, SIZE):
        grey = grey.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return np.asarray(grey, np.uint8)


def conversions(sizes: Sequence[tuple[int, int]], modes: Sequence[str]) -> tuple[str, ...]:
    """Return what was converted, in words.

    Args:
        sizes: width and height of each image.
        modes: Pillow's mode of each.
    """
    notes = []
    for kind, values, wanted in (
        (f"resized to {SIZE}x{SIZE}", [f"{w}x{h}" for w, h in sizes], f"{SIZE}x{SIZE}"),
        ("converted to 8-bit grey", modes, "L"),
    ):
        other = [value for value in values if value != wanted]
        if other:
            common = [value for value, _ in Counter(other).most_common()]
            shown = ", ".join(common[:3]) + (" and others" if len(common) > 3 else "")
            notes.append(f"{len(other):,} of {len(values):,} images {kind} (from {shown})")
    return tuple(notes)
