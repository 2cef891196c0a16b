"""Boxes and labels drawn into pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from fer_search.errors import UserError
from fer_search.files import write_atomic
from fer_search.predict.photos import shrink
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
        classes: Class names.
        overwrite: Whether a folder that holds files already may be written to.

    Raises:
        UserError: The folder is not empty.
    """

    def __init__(self, folder: Path, classes: Sequence[str], overwrite: bool = False) -> None:
        if folder.exists() and not folder.is_dir():
            raise UserError(f"--annotate {folder} is a file; give a folder")
        if folder.exists() and any(folder.iterdir()) and not overwrite:
            raise UserError(f"--annotate {folder} is not empty; choose another folder, or add --overwrite")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.classes = folder, classes
        self._names: set[str] = set()

    def write(self, result: PhotoResult) -> Path:
        """Draw the faces of a photo; return the picture's file."""
        with Image.open(result.path) as picture:
            side = max(picture.size)
            upright = shrink(picture, "RGB", MAX_ANNOTATED_SIDE)
        draw_faces(upright, result.faces, self.classes, side / max(upright.size))
        path = self.folder / self.name(result.path, ".jpg")
        write_atomic(path, lambda beside: upright.save(beside, quality=92))
        return path

    def name(self, path: Path, suffix: str) -> str:
        """Return a name in the folder that no other file has, "photo.jpg", "photo_2.jpg"."""
        name, number = f"{path.stem}{suffix}", 1
        while name in self._names:
            number += 1
            name = f"{path.stem}_{number}{suffix}"
        self._names.add(name)
        return name
