"""Opening images with Pillow, whatever their size: whoever opens one has a limit of its own."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import IO

from PIL import Image

_opening = threading.Lock()


def open_picture(file: IO[bytes], formats: Sequence[str]) -> Image.Image:
    """Open an image without Pillow's limit: it warns from 89 megapixels on and raises an error from 179 on.

    Only the header is read, so that the caller can check the size before pixels are decoded. Pillow's limit applies to
    the whole process, which may be a user's own, so it is restored at once.

    Args:
        file: The image, open for reading.
        formats: Pillow's names of the formats that are recognised; those that it cannot read are left out.

    Raises:
        UnidentifiedImageError: It has none of these formats.
    """
    Image.init()  # an older Pillow has no AVIF, and knows only by its plug-ins which formats it has
    readable = [name for name in formats if name in Image.OPEN]
    with _opening:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=readable)
        finally:
            Image.MAX_IMAGE_PIXELS = limit
