"""Reading photos of any size, mode and orientation, without holding a huge one in memory for long."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from fer_search.errors import UserError
from fer_search.files import open_regular
from fer_search.pictures import open_picture
from fer_search.predict.faces import Box

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".avif", ".jp2")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
MAX_SIDE = 2048  # pixels; larger photos are shrunk before faces are looked for
QUARTER_TURNS = (5, 6, 7, 8)  # values of EXIF's orientation that exchange width and height
MAX_PIXELS = 300_000_000  # of one photo
MAX_BYTES = 2 << 30  # of one file; 300 million pixels of 3 x 16 bits, not compressed, have 1.8 GB
# Of the suffixes above. Pillow knows more: it gives an EPS file to Ghostscript, whatever the file is called.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "AVIF", "JPEG2000")


class UnreadablePhoto(Exception):
    """A file that is not a photo, or not a complete one; the message says why."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo, upright and shrunk to at most ``MAX_SIDE`` pixels.

    Args:
        pixels: uint8 (height, width), grey; or (height, width, 3), RGB.
        scale: Pixels of the file per pixel here.
        width: Width of the upright photo in the file, in pixels.
        height: Its height.
        frames: Number of frames; the first one is used.
    """

    pixels: np.ndarray
    scale: float
    width: int
    height: int
    frames: int = 1

    @property
    def grey(self) -> np.ndarray:
        """uint8 (height, width)."""
        return self.pixels if self.pixels.ndim == 2 else np.asarray(Image.fromarray(self.pixels).convert("L"))

    def in_file(self, box: Box) -> Box:
        """Return a box in pixels of the file."""
        left, top = round(box.left * self.scale), round(box.top * self.scale)
        width, height = round(box.width * self.scale), round(box.height * self.scale)
        return Box(left, top, min(width, self.width - left), min(height, self.height - top))


def read_photo(path: Path, colour: bool = False, max_side: int | None = MAX_SIDE) -> Photo:
    """Read a photo, turned as its EXIF orientation says.

    Args:
        path: The file; of an animation the first frame is read.
        colour: RGB instead of grey.
        max_side: Shrink to at most this many pixels; None reads it as it is.

    Raises:
        UnreadablePhoto: It is missing, damaged, too large or not a photo.
    """
    try:
        with open_photo(path) as picture:
            frames = getattr(picture, "n_frames", 1)
            size = picture.size
            turned = picture.getexif().get(ExifTags.Base.Orientation) in QUARTER_TURNS
            upright = shrink(picture, "RGB" if colour else "L", max_side)
    except UnreadablePhoto:
        raise
    except UnidentifiedImageError as error:
        raise UnreadablePhoto("it is not an image") from error
    except OSError as error:
        raise UnreadablePhoto(error.strerror or str(error)) from error
    except Exception as error:  # Pillow's readers of damaged files raise many kinds
        raise UnreadablePhoto(str(error) or type(error).__name__) from error
    width, height = size[::-1] if turned else size
    return Photo(np.asarray(upright), max(size) / max(upright.size), width, height, frames)


@contextmanager
def open_photo(path: Path) -> Iterator[Image.Image]:
    """Open a photo; links are followed.

    Args:
        path: The file.

    Raises:
        UnreadablePhoto: It has more than ``MAX_BYTES`` or ``MAX_PIXELS``.
        UnidentifiedImageError: It has none of ``FORMATS``.
        OSError: It is missing, or no regular file: a FIFO would be waited for.
    """
    with os.fdopen(open_regular(Path(os.path.realpath(path))), "rb") as file:
        if (size := os.fstat(file.fileno()).st_size) > MAX_BYTES:
            raise UnreadablePhoto(f"it has {size / 1e6:,.0f} MB, more than {MAX_BYTES / 1e6:,.0f}")
        with open_picture(file, FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise UnreadablePhoto(
                    f"it has {picture.width * picture.height / 1e6:,.0f} megapixels, more than {MAX_PIXELS / 1e6:,.0f}"
                )
            yield picture


def shrink(picture: Image.Image, mode: str, max_side: int | None) -> Image.Image:
    """Return a picture upright, in mode "L" or "RGB", of at most ``max_side`` pixels."""
    smooth = picture.mode in ("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr")  # others cannot be interpolated as they are
    limit = (max_side or max(picture.size),) * 2
    if smooth:
        picture.thumbnail(limit, Image.Resampling.BILINEAR)  # lets the JPEG decoder shrink, which saves memory
    upright = to_mode(ImageOps.exif_transpose(picture), mode)
    upright.thumbnail(limit, Image.Resampling.BILINEAR)
    return upright


def to_mode(picture: Image.Image, mode: str) -> Image.Image:
    """Convert a picture of any mode to 8-bit "L" or "RGB"; what is transparent becomes white."""
    if picture.mode.startswith("I;16") or (picture.mode == "I" and np.asarray(picture).max(initial=0) > 255):
        converted = Image.fromarray((np.asarray(picture).clip(0, 65535) // 256).astype(np.uint8))
    elif picture.mode == "F":
        values = np.asarray(picture)
        factor = 255 if values.max(initial=0) <= 1 else 1
        converted = Image.fromarray((values * factor).clip(0, 255).astype(np.uint8))
    elif picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        converted = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    else:
        converted = picture
    return converted if converted.mode == mode else converted.convert(mode)


def fit_to_network(pixels: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Resize a face to a network's input, as training images of another size are: bilinear, filtered when shrunk.

    Args:
        pixels: uint8 (height, width) or (height, width, 3).
        shape: Height, width and channels of the input.

    Returns:
        uint8 (height, width, channels).
    """
    height, width, channels = shape
    picture = Image.fromarray(pixels)
    mode = "RGB" if channels == 3 else "L"
    if picture.mode != mode:
        picture = picture.convert(mode)
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture).reshape(height, width, channels)


def expand(arguments: Iterable[str], lines: Iterable[str]) -> Iterator[Path]:
    """Return the files that are meant: files as they are, folders and globs as their photos, "-" as a list of these.

    Args:
        arguments: Paths, folders, globs or "-".
        lines: What "-" stands for, one per line.

    Raises:
        UserError: A folder or glob has no photo.
    """
    for argument in arguments:
        if argument == "-":
            yield from expand((line.rstrip("\n") for line in lines if line.strip()), ())
        elif Path(argument).is_dir():
            yield from _photos_in(Path(argument))
        elif any(character in argument for character in "*?[") and not Path(argument).exists():
            yield from _matching(argument)
        else:
            yield Path(argument)


def _photos_in(folder: Path) -> Iterator[Path]:
    """Walk a folder in the order of names; links to folders are not followed."""
    count = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(PHOTO_SUFFIXES) and not name.startswith("."):
                count += 1
                yield Path(parent, name)
    if not count:
        raise UserError(f"{folder} holds no photos; known are {', '.join(PHOTO_SUFFIXES)}")


def _matching(pattern: str) -> Iterator[Path]:
    import glob

    names = sorted(name for name in glob.glob(pattern, recursive=True) if Path(name).is_file())
    if not names:
        raise UserError(f"{pattern}: no such file; check the path")
    yield from map(Path, names)
