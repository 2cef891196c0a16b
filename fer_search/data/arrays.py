"""An .npz file of arrays -> the internal form."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from fer_search.data.dataset import CLASSES, SIZE, SPLITS
from fer_search.data.raw import Raw
from fer_search.errors import UserError

KEYS = {"train": "train", "public": "public_test", "private": "private_test", "test": "test"}


def read_npz(path: Path) -> Raw:
    """Read x_train, y_train, and x_public, y_public, x_private, y_private or x_test, y_test.

    Images are uint8 (n, 48, 48) or (n, 48, 48, 1); labels whole numbers (n,) from 0 to 6.

    Raises:
        UserError: the file is broken, or an array is missing or wrong; the message names it.
    """
    images, labels, splits = [], [], []
    try:
        with np.load(path, allow_pickle=False) as file:
            for key, split in KEYS.items():
                if f"x_{key}" in file and f"y_{key}" in file:
                    x, y = _checked(file[f"x_{key}"], file[f"y_{key}"], key, path)
                    images.append(x)
                    labels.append(y)
                    splits.append(np.full(len(y), SPLITS.index(split), np.uint8))
    except (zipfile.BadZipFile, ValueError, OSError, EOFError) as error:
        raise UserError(f"{path} is not a whole .npz file ({error})") from error
    if not images:
        raise UserError(f"{path}: no arrays x_train and y_train in it")
    return Raw(np.concatenate(images), np.concatenate(labels), np.concatenate(splits), "npz")


def _checked(x: np.ndarray, y: np.ndarray, key: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    x = x[..., 0] if x.ndim == 4 and x.shape[-1] == 1 else x
    if x.shape[1:] != (SIZE, SIZE) or x.dtype != np.uint8:
        raise UserError(f"{path}: x_{key} must be uint8 (n, {SIZE}, {SIZE}), not {x.dtype} {x.shape}")
    if y.shape != x.shape[:1]:
        raise UserError(f"{path}: y_{key} must have one label for each of {len(x)} images, not shape {y.shape}")
    if not np.issubdtype(y.dtype, np.integer) or (len(y) and (y.min() < 0 or y.max() >= len(CLASSES))):
        raise UserError(f"{path}: y_{key} must hold whole numbers from 0 to 6")
    return x, y.astype(np.uint8)
