"""Picture files -> uint8 arrays of one size and colour."""

from __future__ import annotations

import io
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from fer_search.data.limits import check_picture, check_pixels
from fer_search.data.options import DataOptions
from fer_search.data.spec import DEFAULT_SIZE
from fer_search.errors import UserError
from fer_search.pictures import open_picture

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".gif")
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM", "GIF")  # Pillow has more: it gives an EPS file to Ghostscript
CHUNK = 256  # files per task of the thread pool: one by one the overhead would dominate
PROBES = 200  # pictures whose size is looked at to choose a size
AUTO_SIZES = (48, 64, 96)  # larger ones cost four times as much per doubling; --image-size asks for them
IN_MEMORY = 2**30  # bytes of images above which they are written to a memory-mapped file while they are read
ORIENTATION = 0x0112  # EXIF tag

LISTED = 5  # names of broken pictures in a message, besides the first

Content = Callable[[], bytes]
Decoded = tuple[np.ndarray, tuple[int, int], str, bool]  # what ``decode`` returns


@dataclass(frozen=True)
class Broken:
    """A picture that cannot be decoded: its name, and why."""

    name: str
    reason: str


class BrokenPictureError(UserError):
    """A picture cannot be decoded."""

    def __init__(self, broken: Broken) -> None:
        super().__init__(_describe([broken]))
        self.broken = broken


@dataclass
class Conversions:
    """Counts what was changed in pictures, for the notes.

    Args:
        size: Side of the converted images, pixels.
        channels: Their number of channels.
        sizes: Width and height -> number of images.
        modes: Pillow mode -> number of images.
        turned: Number of images turned upright.
    """

    size: int
    channels: int
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    turned: int = 0

    def notes(self) -> tuple[str, ...]:
        """Return what was converted, one sentence each."""
        total = sum(self.sizes.values())
        side = f"{self.size}x{self.size}"
        wanted = "L" if self.channels == 1 else "RGB"
        found = (
            (f"resized to {side}", Counter({f"{w}x{h}": n for (w, h), n in self.sizes.items()}), side),
            (f"converted to {'8-bit grey' if self.channels == 1 else 'RGB'}", self.modes, wanted),
        )
        notes = []
        for kind, values, unchanged in found:
            other = [(value, count) for value, count in values.most_common() if value != unchanged]
            if other:
                shown = ", ".join(value for value, _ in other[:3]) + (" and others" if len(other) > 3 else "")
                notes.append(f"{sum(n for _, n in other):,} of {total:,} images {kind} (from {shown})")
        if self.turned:
            notes.append(f"{self.turned:,} of {total:,} images turned upright (EXIF orientation)")
        return tuple(notes)


def is_picture_name(name: str) -> bool:
    """Return whether a file name has a picture's suffix."""
    return name.lower().endswith(SUFFIXES)


def decode_all(
    contents: Sequence[tuple[str, Content]], options: DataOptions, folder: Path | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Decode pictures.

    Args:
        contents: Name for messages and content of each picture.
        options: Size and colour.
        folder: Cache folder, for images too large for memory.

    Returns:
        uint8 (n, size, size) or (n, size, size, 3), and notes on what was converted.

    Raises:
        UserError: Files are truncated or not images; the message names them.
    """
    size = options.image_size or choose_size(probe_sizes(contents))
    conversions = Conversions(size, options.channels)
    shape = (size, size) if options.channels == 1 else (size, size, 3)
    images = allocate((len(contents), *shape), folder)
    chunks = [contents[start : start + CHUNK] for start in range(0, len(contents), CHUNK)]

    def decode_chunk(chunk: Sequence[tuple[str, Content]]) -> list[Decoded | Broken]:
        return [_decode_or_explain(content(), name, size, options.channels) for name, content in chunk]

    row = 0
    broken: list[Broken] = []
    with ThreadPoolExecutor(min(8, 4 * (os.cpu_count() or 1))) as pool:  # more threads than cores: disks are slow
        for decoded in _bounded_map(pool, decode_chunk, chunks):
            for picture in decoded:
                if isinstance(picture, Broken):
                    broken.append(picture)
                    continue
                pixels, own_size, mode, turned = picture
                images[row] = pixels
                conversions.sizes[own_size] += 1
                conversions.modes[mode] += 1
                conversions.turned += turned
                row += 1
    if broken:
        raise UserError(_describe(broken))
    return images, conversions.notes()


def _describe(broken: Sequence[Broken]) -> str:
    text = f"{broken[0].name} is cut short or not an image ({broken[0].reason})"
    if len(broken) == 1:
        return f"{text}; replace or remove it"
    others = ", ".join(picture.name for picture in broken[1 : LISTED + 1])
    more = f" and {len(broken) - LISTED - 1:,} more" if len(broken) > LISTED + 1 else ""
    return f"{text}, and so {'are' if len(broken) > 2 else 'is'} {others}{more}; replace or remove them"


def _decode_or_explain(data: bytes, name: str, size: int, channels: int) -> Decoded | Broken:
    try:
        return decode(data, name, size, channels)
    except BrokenPictureError as error:
        return error.broken


def _bounded_map(pool: ThreadPoolExecutor, call: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """Like ``pool.map``, but with at most 16 results in memory."""
    waiting = []
    for item in items:
        waiting.append(pool.submit(call, item))
        if len(waiting) >= 16:
            yield waiting.pop(0).result()
    for future in waiting:
        yield future.result()


def allocate(shape: tuple[int, ...], folder: Path | None = None) -> np.ndarray:
    """Return an empty uint8 array, in memory or, if it is large, in a file of a folder.

    The file is removed when the array is released, unless it was moved (see ``fer_search.data.cache``).
    """
    if int(np.prod(shape)) <= IN_MEMORY or folder is None:
        return np.empty(shape, np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(".npy", ".reading-", folder)
    os.close(handle)
    return np.lib.format.open_memmap(name, "w+", np.uint8, shape)


def probe_sizes(contents: Sequence[tuple[str, Content]]) -> list[tuple[int, int]]:
    """Return width and height of some pictures, evenly spaced; unreadable ones are skipped."""
    sizes = []
    for k in np.unique(np.linspace(0, len(contents) - 1, min(PROBES, len(contents))).astype(int)) if contents else []:
        try:
            with open_picture(io.BytesIO(contents[k][1]()), FORMATS) as picture:
                sizes.append(picture.size)
        except Exception:  # reported by name when it is decoded
            continue
    return sizes


def choose_size(sizes: Sequence[tuple[int, int]]) -> int:
    """Return the largest of AUTO_SIZES that most pictures have detail for; 48 if they are smaller."""
    if not sizes:
        return DEFAULT_SIZE
    typical = float(np.median([min(size) for size in sizes]))
    return max((size for size in AUTO_SIZES if size <= typical), default=DEFAULT_SIZE)


def decode(data: bytes, name: str, size: int, channels: int = 1) -> Decoded:
    """Decode one picture file.

    Returns:
        uint8 (size, size) or (size, size, 3); size and Pillow mode of the file; whether it was turned upright.

    Raises:
        BrokenPictureError: The file is truncated or not an image of FORMATS.
        UserError: It is too large.
    """
    check_picture(len(data), name)
    try:
        with open_picture(io.BytesIO(data), FORMATS) as picture:
            own_size, mode = picture.size, picture.mode
            check_pixels(*own_size, name)
            turned = picture.getexif().get(ORIENTATION, 1) in range(2, 9)
            upright = ImageOps.exif_transpose(picture) if turned else picture
            return fit(upright, size, channels), own_size, mode, turned
    except UserError:
        raise
    except Exception as error:  # each of Pillow's formats has its own exceptions for broken files
        reason = "no image format is recognised" if "BytesIO" in str(error) else error
        raise BrokenPictureError(Broken(name, str(reason))) from error


def fit(picture: Image.Image, size: int, channels: int = 1) -> np.ndarray:
    """Convert a picture to uint8 (size, size[, 3]), resized without regard to its aspect ratio."""
    if picture.mode.startswith(("I", "F")):
        picture = Image.fromarray(to_eight_bits(np.asarray(picture)))
    mode = "L" if channels == 1 else "RGB"
    converted = picture if picture.mode == mode else picture.convert(mode)
    if converted.size != (size, size):
        converted = converted.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(converted, np.uint8)


def to_eight_bits(pixels: np.ndarray) -> np.ndarray:
    """Scale pixels of more than 8 bits to uint8; Pillow would clip them at 255.

    16-bit pixels lose their low byte. Others are taken as 0 to 255 or 0 to 1 if they lie in that range, otherwise their
    own range becomes 0 to 255.
    """
    if pixels.dtype.itemsize == 2:
        return (pixels.astype(np.uint16) >> 8).astype(np.uint8)
    values = np.nan_to_num(pixels.astype(np.float64))
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if low >= 0 and high <= 1 and np.issubdtype(pixels.dtype, np.floating):
        values = values * 255
    elif low >= 0 and 255 < high <= 65535 and np.issubdtype(pixels.dtype, np.integer):
        values = values / 257
    elif not (low >= 0 and high <= 255):
        values = (values - values.min()) / max(float(np.ptp(values)), 1e-12) * 255
    return values.round().astype(np.uint8)
