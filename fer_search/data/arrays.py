"""An .npz file of arrays -> the internal form."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from fer_search.data.dataset import CLASSES, SIZE, SPLITS
from fer_search.data.pictures import conversions, fit
from fer_search.data.raw import Raw
from fer_search.errors import UserError

KEYS = {"train": "train", "public": "public_test", "private": "private_test", "test": "test"}


def read_npz(path: Path) -> Raw:
    """Read x_train, y_train, and x_public, y_public, x_private, y_private or x_test, y_test.

    Images are whole numbers from 0 to 255, (n, 48, 48) or (n, 48, 48, 1); other sizes and (n, h, w, 3), RGB, are
    converted. Labels are whole numbers (n,) from 0 to 6.

    Raises:
        UserError: the file is broken, or an array is missing or wrong; the message names it.
    """
    images, labels, splits, sizes, modes = [], [], [], [], []
    try:
        with np.load(path, allow_pickle=False) as file:
            for key, split in KEYS.items():
                if f"x_{key}" not in file and f"y_{key}" not in file:
                    continue
                for name in (f"x_{key}", f"y_{key}"):
                    if name not in file:
                        raise UserError(f"{path}: no array {name}; images x_{key} and labels y_{key} belong together")
                x = _pixels(file[f"x_{key}"], f"{path}: x_{key}")
                labels.append(_labels(file[f"y_{key}"], len(x), f"{path}: y_{key}"))
                images.append(_fitted(x))
                splits.append(np.full(len(x), SPLITS.index(split), np.uint8))
                sizes += [x.shape[2:0:-1]] * len(x)  # width, height
                modes += ["L" if x.ndim == 3 else "RGB"] * len(x)
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError) as error:
        raise UserError(f"{path} is not a whole .npz file of numbers ({error}); write it again") from error
    if not images:
        raise UserError(f"{path}: no arrays x_train and y_train in it")
    notes = conversions(sizes, modes)
    return Raw(np.concatenate(images), np.concatenate(labels), np.concatenate(splits), "npz", notes)


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
