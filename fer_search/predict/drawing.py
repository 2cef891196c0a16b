"""Boxes and labels drawn into pictures."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from fer_search.errors import UserError
from fer_search.files import write_atomic
from fer_search.predict.photos import open_photo, shrink
from fer_search.predict.pipeline import Face, PhotoResult

COLOUR, TEXT_COLOUR = (255, 214, 0), (0, 0, 0)
MAX_ANNOTATED_SIDE = 4096  # pixels of an annotated picture


def draw_faces(picture: Image.Image, faces: Sequence[Face], classes: Sequence[str], scale: float = 1.0) -> None:
    """Draw each face's box, class and probability into an RGB picture.

    Args:
        picture: Is drawn into.
        faces: Their boxes are in pixels of the file.
        classes: Class names.
        scale: Pixels of the file per pixel of the picture.
    """
    draw = ImageDraw.Draw(picture)
    line = max(2, round(max(picture.size) / 400))
    for face in faces:
        left, top = face.box.left / scale, face.box.top / scale
        right, bottom = left + face.box.width / scale, top + face.box.height / scale
        draw.rectangle((left, top, right, bottom), outline=COLOUR, width=line)
        best = int(face.probabilities.argmax())
        text = f"{classes[best]} {face.probabilities[best]:.0%}"
        font = ImageFont.load_default(size=max(11, min((right - left) / 6, max(picture.size) / 30)))
        _label(draw, text, (left, top), picture.size, font)


def _label(
    draw: ImageDraw.ImageDraw,
    text: str,
    corner: tuple[float, float],
    size: tuple[int, int],
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:
    """Write a text above a box's upper left corner, inside the picture."""
    x0, y0, x1, y1 = draw.textbbox((0, 0), text, font=font)
    width, height = x1 - x0 + 6, y1 - y0 + 6
    left = max(0.0, min(corner[0], size[0] - width))
    top = corner[1] - height if corner[1] >= height else corner[1]
    draw.rectangle((left, top, left + width, top + height), fill=COLOUR)
    draw.text((left + 3 - x0, top + 3 - y0), text, fill=TEXT_COLOUR, font=font)


class Annotator:
    """Writes pictures with boxes and labels into a folder, under the names of their files.

    Args:
        folder: Made where it is missing.
        inputs: What is predicted; ``files`` has the file of each one's picture, in this order.
        suffix: Of the pictures' names.
        overwrite: Whether a folder that holds files already may be written to.

    Raises:
        UserError: The folder is not empty, cannot be written to, or the pictures would replace an input.
    """

    def __init__(self, folder: Path, inputs: Sequence[Path], suffix: str = ".jpg", overwrite: bool = False) -> None:
        self.files = [folder / name for name in _unique_names(inputs, suffix)]
        try:
            self._check(folder, inputs, overwrite)
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):  # permissions do not tell it of every file system
                pass
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"--annotate {folder} cannot be written to ({reason}); choose another folder") from error

    def _check(self, folder: Path, inputs: Sequence[Path], overwrite: bool) -> None:
        if not folder.exists():
            return
        if not folder.is_dir():
            raise UserError(f"--annotate {folder} is a file; give a folder")
        known = {identity: path for path in inputs if (identity := _identity(path))}
        for file in self.files:
            if (identity := _identity(file)) and identity in known:
                raise UserError(
                    f"--annotate {folder}: {file} would replace {known[identity]}, which is to be predicted; choose "
                    "another folder"
                )
        if any(folder.iterdir()) and not overwrite:
            raise UserError(f"--annotate {folder} is not empty; choose another folder, or add --overwrite")

    def write(self, number: int, result: PhotoResult, classes: Sequence[str]) -> Path:
        """Draw the faces of the photo with this number; return the picture's file."""
        with open_photo(result.path) as picture:
            side = max(picture.size)
            upright = shrink(picture, "RGB", MAX_ANNOTATED_SIDE)
        draw_faces(upright, result.faces, classes, side / max(upright.size))
        path = self.files[number]
        try:
            write_atomic(path, lambda beside: upright.save(beside, quality=92))
        except OSError as error:
            raise UserError(
                f"{path} cannot be written ({error.strerror or error}); choose another --annotate"
            ) from error
        return path


def _unique_names(paths: Sequence[Path], suffix: str) -> list[str]:
    """Return a name for each path that no other has: "photo.jpg", "photo_2.jpg"."""
    names: dict[str, None] = {}
    numbers: dict[str, int] = {}
    for path in paths:
        name, number = f"{path.stem}{suffix}", numbers.get(path.stem, 1)
        while name in names:
            number += 1
            name = f"{path.stem}_{number}{suffix}"
        numbers[path.stem] = number
        names[name] = None
    return list(names)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what two names of one file share, also through links; None if there is no such file."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
