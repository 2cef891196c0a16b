"""Arrays of images and labels: .npz, folders of .npy, HDF5."""

from __future__ import annotations

import io
import os
import re
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from fer_search.data.dataset import SPLITS, TRAIN
from fer_search.data.images import Conversions, allocate, choose_size, fit
from fer_search.data.labels import resolve_labels
from fer_search.data.limits import MAX_ARRAY_HEADER, Total, array_bytes, check_arrays, open_file
from fer_search.data.options import DataOptions
from fer_search.data.raw import RawData
from fer_search.data.splits import split_of
from fer_search.errors import UserError
from fer_search.files import read_array_header

IMAGE_KEYS = ("x", "image", "images", "pixel", "pixels", "data", "face", "faces")
TEXT_ROWS = 64  # texts read at a time from HDF5: many of them may be the same long one
LABEL_KEYS = ("y", "label", "labels", "emotion", "emotions", "target", "targets")
SPLIT_KEYS = ("train", "public", "private", "test", "val")  # as messages name them

Load = Callable[[], np.ndarray]


def read_npz(file: IO[bytes], path: str, options: DataOptions, cache: Path | None = None) -> RawData:
    """Read an .npz file; see ``read_arrays``.

    Args:
        file: The file.
        path: Its name in messages.
        options: Classes, size and colour.
        cache: Cache folder, for images too large for memory.
    """
    try:
        # Not np.load: it would take a file that begins like an .npy file for one, and allocate what that claims.
        with np.lib.npyio.NpzFile(file, allow_pickle=False) as arrays:
            check_arrays(arrays, path)
            loads = {name: partial(_load_member, arrays, name) for name in arrays.files}
            return read_arrays(loads, path, "npz", options, cache)
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError) as error:
        raise UserError(f"{path} is not a whole .npz file of numbers ({error}); write it again") from error


def _load_member(arrays: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    """Read an array of an .npz file; NumPy would unpack a member that is none as a whole, whatever its size."""
    if f"{name}.npy" not in arrays.zip.namelist():  # type: ignore[union-attr]
        raise ValueError(f"{name} in it is no array")
    return np.asarray(arrays[f"{name}.npy"])


def read_npy_files(files: Mapping[str, Path], path: str, options: DataOptions, cache: Path | None = None) -> RawData:
    """Read .npy files, name without suffix -> path; see ``read_arrays``."""
    try:
        total = Total(path)  # of the arrays that are used
        loads = {name: partial(_load_npy, file, total) for name, file in files.items()}
        return read_arrays(loads, path, "npy", options, cache)
    except (ValueError, EOFError, SyntaxError, tokenize.TokenError) as error:  # NumPy parses headers as Python
        raise UserError(f"{path}: an .npy file is not a whole array of numbers ({error}); write it again") from error


def _load_npy(file: Path, total: Total) -> np.ndarray:
    """Open an .npy file memory-mapped, once its header was found to be within the bound."""
    with open_file(file) as opened:
        start = io.BytesIO(opened.read(MAX_ARRAY_HEADER))  # a header claims its own length
        total.add(array_bytes(*read_array_header(start), file.name))
    return np.asanyarray(np.load(os.path.realpath(file), "r", allow_pickle=False))


def read_hdf5(file: Path, options: DataOptions, cache: Path | None = None) -> RawData:
    """Read an HDF5 file with arrays of images and labels; see ``read_arrays``."""
    import h5py

    try:
        with h5py.File(file, "r") as archive:
            arrays: dict[str, Any] = {}
            archive.visititems(lambda name, item: arrays.update({name: item} if isinstance(item, h5py.Dataset) else {}))
            total = Total(str(file))
            loads = {name.replace("/", "_"): partial(_load_dataset, item, total) for name, item in arrays.items()}
            return read_arrays(loads, str(file), "hdf5", options, cache)
    except OSError as error:
        raise UserError(f"{file} is not a whole HDF5 file ({error}); write it again") from error


def _load_dataset(item: Any, total: Total) -> np.ndarray:
    """Read an HDF5 dataset, whose compressed chunks may be far smaller than its array."""
    if item.external or item.is_virtual:
        raise UserError(f"{total.name}: {item.name} lies in another file; write it into this one")
    total.add(int(item.nbytes))
    if item.dtype.kind != "O" or item.ndim != 1:
        return np.asarray(item[()])
    texts = np.empty(len(item), object)  # of any length, which nbytes does not count
    for start in range(0, len(item), TEXT_ROWS):
        block = item[start : start + TEXT_ROWS]
        total.add(sum(map(sys.getsizeof, block)))
        texts[start : start + TEXT_ROWS] = block
    return texts


def read_arrays(
    loads: Mapping[str, Load], path: str, form: str, options: DataOptions, cache: Path | None = None
) -> RawData:
    """Read pairs of arrays: x_train and y_train, images_test and labels_test, or just images and labels.

    Images are (n, h, w), (n, h, w, 1) or, RGB, (n, h, w, 3), integers from 0 to 255 or fractions from 0 to 1. Labels
    are numbers (n,) or (n, 1), names, or one-hot (n, classes).

    Args:
        loads: Name of each array -> a function that reads it.
        path: Name of the source in messages.
        form: Name of the format.
        options: Classes, size and colour.
        cache: Cache folder, for images too large for memory.

    Raises:
        UserError: An array is missing or invalid; the message names it.
    """
    pairs, ignored = _pairs(list(loads), path)
    parts, texts, places, notes = [], [], [], []
    for split, (image_key, label_key) in pairs.items():
        pixels, scaled = _pixels(loads[image_key](), f"{path}: {image_key}")
        own = _texts(loads[label_key](), len(pixels), f"{path}: {label_key}")
        parts.append((split, pixels))
        texts += own
        places += [f"{path}: {label_key}, image {k} (the first is 0): label" for k in range(len(own))]
        if scaled:
            notes.append(f"{image_key}: fractions from 0 to 1 are scaled to 0 to 255")
    labels = resolve_labels(texts, options, places.__getitem__, path, "fer2013")
    images, converted = _convert([pixels for _, pixels in parts], labels.kept, options, cache)
    splits = np.concatenate([np.full(len(pixels), split, np.uint8) for split, pixels in parts])
    if ignored:
        notes.append(f"{', '.join(ignored)} {'is' if len(ignored) == 1 else 'are'} not used")
    return RawData(
        images,
        labels.labels[labels.kept],
        splits[labels.kept],
        form,
        (*converted, *notes, *labels.notes),
        labels.classes,
    )


def _pairs(names: list[str], path: str) -> tuple[dict[int, tuple[str, str]], list[str]]:
    """Return for each split the names of its images and its labels; and the names that mean nothing."""
    found: dict[int, dict[str, str]] = {}
    ignored = []
    for name in names:
        kind, split = _parse_name(name)
        if kind is None or split is None:
            ignored.append(name)
        elif kind in found.setdefault(split, {}):
            raise UserError(f"{path}: {found[split][kind]} and {name} mean the same; remove one")
        else:
            found[split][kind] = name
    for split, pair in found.items():
        if len(pair) == 1:
            key = next((k for k in SPLIT_KEYS if split_of(k) == split), "train")
            missing = "labels" if "x" in pair else "images"
            raise UserError(
                f"{path}: {next(iter(pair.values()))} has no {missing} with it; it should hold x_{key} and y_{key}"
            )
    if not found:
        raise UserError(f"{path}: no arrays x_train and y_train in it, but {', '.join(names) or 'none'}")
    order = sorted(found, key=lambda split: (split == len(SPLITS) - 1, split))
    return {split: (found[split]["x"], found[split]["y"]) for split in order}, ignored


def _parse_name(name: str) -> tuple[str | None, int | None]:
    """Return "x" or "y" and the split that a name such as x_train, Training_label or images means."""
    words = [word for word in re.split(r"[_\W]+", name.lower()) if word]
    kind = next((k for k, keys in (("y", LABEL_KEYS), ("x", IMAGE_KEYS)) if set(words) & set(keys)), None)
    rest = "_".join(word for word in words if word not in (*IMAGE_KEYS, *LABEL_KEYS))
    return kind, split_of(rest) if rest else TRAIN


def _pixels(x: np.ndarray, name: str) -> tuple[np.ndarray, bool]:
    """Return uint8 (n, h, w) or (n, h, w, 3), and whether fractions were scaled."""
    x = np.asarray(x)
    if x.ndim == 4 and x.shape[3] == 1:
        x = x[..., 0]
    if x.dtype.kind not in "uif" or not (x.ndim == 3 or (x.ndim == 4 and x.shape[3] == 3)):
        raise UserError(f"{name} must be numbers (n, height, width) or (n, height, width, 3), not {x.dtype} {x.shape}")
    if x.dtype == np.uint8:
        return x, False
    axes = tuple(range(1, x.ndim))
    wrong = np.flatnonzero(~((x >= 0) & (x <= 255)).all(axis=axes))  # NaN too
    if len(wrong):
        raise UserError(f"{name}, image {wrong[0]} (the first is 0): a pixel is not from 0 to 255, nor from 0 to 1")
    scaled = x.dtype.kind == "f" and len(x) > 0 and bool(x.max() <= 1)
    return (np.rint(x * 255) if scaled else np.rint(x)).astype(np.uint8), scaled


def _texts(y: np.ndarray, count: int, name: str) -> list[str]:
    """Return labels as text; one-hot rows become the index of their 1."""
    y = np.asarray(y)
    y = y[:, 0] if y.shape == (count, 1) else y
    if y.ndim == 2 and len(y) == count and y.dtype.kind in "uifb":
        if count and not (np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all()):
            raise UserError(f"{name} must be one-hot, a single 1 in each row of {y.shape[1]}")
        return [str(k) for k in y.argmax(axis=1)]
    if y.shape != (count,):
        raise UserError(f"{name} must have one label for each of {count:,} images, not the shape {y.shape}")
    if y.dtype.kind == "f":
        if not np.array_equal(y, np.rint(y)):
            raise UserError(f"{name} must be whole numbers or names, not fractions ({y.dtype})")
        y = y.astype(np.int64)
    if y.dtype.kind in "uib":
        return [str(int(value)) for value in y]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in y]


def _convert(
    parts: list[np.ndarray], kept: np.ndarray, options: DataOptions, cache: Path | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the kept images in the size and colour of the options, and notes on what was converted."""
    sizes = [(part.shape[2], part.shape[1]) for part in parts if len(part)]
    size = options.image_size or choose_size(sizes)
    conversions = Conversions(size, options.channels)
    shape = (size, size) if options.channels == 1 else (size, size, 3)
    images = allocate((int(kept.sum()), *shape), cache)
    row, first = 0, 0
    for part in parts:
        rows = np.flatnonzero(kept[first : first + len(part)])
        first += len(part)
        if part.shape[1:] == shape:
            images[row : row + len(rows)] = part[rows]
        else:
            for k, source in enumerate(rows):
                images[row + k] = fit(Image.fromarray(np.ascontiguousarray(part[source])), size, options.channels)
        conversions.sizes[(part.shape[2], part.shape[1])] += len(rows)
        conversions.modes["L" if part.ndim == 3 else "RGB"] += len(rows)
        row += len(rows)
    return images, conversions.notes()
