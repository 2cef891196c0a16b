"""An .npz file of arrays -> the internal form."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from fer_search.data.dataset import CLASSES, SIZE, SPLITS
from fer_search.data.images import conversions, fit
from fer_search.data.raw import RawData
from fer_search.errors import UserError

SPLIT_KEYS = {
    "train": "train",
    "public": "public_test",
    "publictest": "public_test",
    "private": "private_test",
    "privatetest": "private_test",
    "test": "test",
}
IMAGE_KEYS, LABEL_KEYS = ("x", "images"), ("y", "labels")


def read_npz(file: Path | IO[bytes], path: str) -> RawData:
    """Read x_train, y_train, and x_public, y_public, x_private, y_private or x_test, y_test.

    X_train, train_x, train_images and images_train are understood alike, and so their labels. Images are whole numbers
    from 0 to 255, (n, 48, 48) or (n, 48, 48, 1); other sizes and (n, h, w, 3), RGB, are converted. Labels are whole
    numbers (n,) or (n, 1) from 0 to 6.

    Args:
        file: the file.
        path: its name in messages.

    Raises:
        UserError: the file is broken, or an array is missing or wrong; the message names it.
    """
    images, labels, splits, sizes, modes = [], [], [], [], []
    try:
        with np.load(file, allow_pickle=False) as arrays:
            for split, (image_key, label_key) in _keys(arrays.files, path).items():
                x = _pixels(arrays[image_key], f"{path}: {image_key}")
                labels.append(_labels(arrays[label_key], len(x), f"{path}: {label_key}"))
                images.append(_fitted(x))
                splits.append(np.full(len(x), SPLITS.index(split), np.uint8))
                sizes += [x.shape[2:0:-1]] * len(x)  # width, height
                modes += ["L" if x.ndim == 3 else "RGB"] * len(x)
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError) as error:
        raise UserError(f"{path} is not a whole .npz file of numbers ({error}); write it again") from error
    notes = conversions(sizes, modes)
    return RawData(np.concatenate(images), np.concatenate(labels), np.concatenate(splits), "npz", notes)


def _keys(names: Sequence[str], path: str) -> dict[str, tuple[str, str]]:
    """Return for each split the names of its images and its labels."""
    by_lower = {name.lower(): name for name in names}

    def named(kinds: tuple[str, ...], key: str) -> str | None:
        spellings = (by_lower.get(spelling) for kind in kinds for spelling in (f"{kind}_{key}", f"{key}_{kind}"))
        return next(filter(None, spellings), None)

    found: dict[str, tuple[str, str]] = {}
    for key, split in SPLIT_KEYS.items():
        x, y = named(IMAGE_KEYS, key), named(LABEL_KEYS, key)
        if x and y:
            found[split] = x, y
        elif x or y:
            missing = "labels" if x else "images"
            raise UserError(f"{path}: {x or y} has no {missing} with it; it should hold x_{key} and y_{key}")
    if not found:
        raise UserError(f"{path}: no arrays x_train and y_train in it, but {', '.join(names) or 'none'}")
    return found


def _pixels(x: np.ndarray, name: str) -> np.ndarray:
    """Return uint8 (n, h, w) or (n, h, w, 3)."""
    if x.shape[3:] == (1,):
        x = x[..., 0]
    if not np.issubdtype(x.dtype, np.integer) or not (x.ndim == 3 or x.shape[3:] == (3,)):
        raise UserError(f"{name} must be whole numbers (n, {SIZE}, {SIZE}), not {x.dtype} {x.shape}")
    wrong = np.flatnonzero(((x < 0) | (x > 255)).any(axis=tuple(range(1, x.ndim))))
    if len(wrong):
        raise UserError(f"{name}, image {wrong[0]} (the first is 0): a pixel is not from 0 to 255")
    return x.astype(np.uint8, copy=False)


def _labels(y: np.ndarray, count: int, name: str) -> np.ndarray:
    y = y[:, 0] if y.shape == (count, 1) else y
    if y.shape != (count,):
        raise UserError(f"{name} must have one label for each of {count:,} images, not the shape {y.shape}")
    if not np.issubdtype(y.dtype, np.integer):
        raise UserError(f"{name} must be whole numbers from 0 to 6, not {y.dtype}")
    wrong = np.flatnonzero((y < 0) | (y >= len(CLASSES)))
    if len(wrong):
        raise UserError(f"{name}, image {wrong[0]} (the first is 0): label {y[wrong[0]]} is not from 0 to 6")
    return y.astype(np.uint8)


def _fitted(x: np.ndarray) -> np.ndarray:
    if x.shape[1:] == (SIZE, SIZE) or not len(x):
        return x.reshape(-1, SIZE, SIZE)
    return np.stack([fit(Image.fromarray(one)) for one in x])
