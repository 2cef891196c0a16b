"""Picture files -> uint8 (48, 48): class folders and zip files of them."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, UnidentifiedImageError

from fer_search.data.dataset import CLASSES, SIZE, SPLITS
from fer_search.data.raw import Raw
from fer_search.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg")
# The two Kaggle layouts differ in the words: angry/disgusted/fearful/... and angry/disgust/fear/...
CLASS_FOLDERS = {name: c for c, name in enumerate(CLASSES)} | {
    "anger": 0,
    "disgusted": 1,
    "fearful": 2,
    "happiness": 3,
    "sadness": 4,
    "surprised": 5,
}
SPLIT_FOLDERS = {"train": 0, "training": 0, "test": 3, "publictest": 1, "privatetest": 2, "public_test": 1, "private_test": 2}


def read_folders(folder: Path) -> Raw:
    """Read class folders (FOLDER/train/angry/*.png ...).

    Raises:
        UserError: a class folder is unknown, a file is no image; the message names it.
    """
    names = [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.suffix.lower() in SUFFIXES]
    return _read(str(folder), names, lambda name: (folder / name).read_bytes())


def read_zip(path: Path) -> Raw:
    """Read a zip file of class folders.

    Raises:
        UserError: the zip is broken, has paths that climb out of it, or as ``read_folders``.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(n for n in archive.namelist() if n.lower().endswith(SUFFIXES) and "__MACOSX" not in n)
            for name in archive.namelist():
                if name.startswith(("/", "\\")) or ".." in PurePosixPath(name.replace("\\", "/")).parts:
                    raise UserError(f"{path}: {name!r} climbs out of the zip file; it is not safe to read")
            content = {name: archive.read(name) for name in names}
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise UserError(f"{path} is not a whole zip file ({error}); download it again") from error
    return _read(str(path), names, content.__getitem__)


def _read(source: str, names: list[str], content: Callable[[str], bytes]) -> Raw:
    places = [_place(source, name) for name in names]

    def one(name: str) -> tuple[np.ndarray, tuple[int, int], str]:
        return decode(content(name), f"{source}/{name}")

    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 2)) as pool:
        decoded = list(pool.map(one, names, chunksize=256))
    images = np.stack([d[0] for d in decoded]) if decoded else np.empty((0, SIZE, SIZE), np.uint8)
    notes = conversions((d[1] for d in decoded), (d[2] for d in decoded))
    splits, labels = (np.array([p[k] for p in places], np.uint8) for k in (0, 1))
    return Raw(images, labels, splits, "class folders", notes)


def _place(source: str, name: str) -> tuple[int, int]:
    """Return the split and the class that a path like [.../]train/angry/im0.png names."""
    parts = [part.lower() for part in PurePosixPath(name).parts[:-1]]
    at = next((k for k, part in enumerate(parts) if part in SPLIT_FOLDERS), None)
    if at is None or len(parts) != at + 2:
        raise UserError(f"{source}: {name} is not in a class folder of {' or '.join(('train/', 'test/'))}")
    if parts[-1] not in CLASS_FOLDERS:
        raise UserError(f"{source}: unknown class folder {parts[-1]!r} (of {name}); known are {', '.join(CLASSES)}")
    return SPLIT_FOLDERS[parts[at]], CLASS_FOLDERS[parts[-1]]


def decode(data: bytes, name: str) -> tuple[np.ndarray, tuple[int, int], str]:
    """Decode one picture file.

    Returns:
        uint8 (48, 48), and the size and Pillow mode that the file had.

    Raises:
        UserError: the file is cut short or no image.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            mode, size = picture.mode, picture.size
            grey = picture if mode == "L" else picture.convert("L")
            if size != (SIZE, SIZE):
                grey = grey.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
            return np.asarray(grey, np.uint8), size, mode
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{name} is cut short or not an image ({error}); replace or remove it") from error


def conversions(sizes: Iterable[tuple[int, int]], modes: Iterable[str]) -> tuple[str, ...]:
    """Return what was converted, in words."""
    other = [size for size in sizes if size != (SIZE, SIZE)]
    coloured = sum(mode != "L" for mode in modes)
    notes = []
    if other:
        shown = ", ".join(f"{w}x{h}" for w, h in sorted(set(other))[:3])
        notes.append(f"{len(other):,} images of other sizes ({shown}) were resized to {SIZE}x{SIZE}")
    if coloured:
        notes.append(f"{coloured:,} images that were not 8-bit grey were converted to it")
    return tuple(notes)


