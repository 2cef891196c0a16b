"""Finding faces in a picture with OpenCV's Haar cascade, whose model is part of its package: nothing is downloaded.

Why this detector: FER2013's faces were cut out by OpenCV's cascades (Goodfellow et al. 2013), so that its boxes frame a
face as the training images do; faces of FER2013 pasted into photos get boxes of 1.00 times (median) the size that they
were pasted with. Of OpenCV's three frontal cascades "alt2" finds as many as the others with hardly any false positives:
on 13 photos without a face 0, where "default" has 6. It needs no second deep-learning framework and takes 0.1 s for a
photo. It finds faces that look into the camera, tilted by up to about 20 degrees, and not those in profile.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np

from fer_search.errors import UserError

CASCADE = "haarcascade_frontalface_alt2.xml"
SCALE_STEP = 1.1  # between two sizes that are searched
MIN_NEIGHBOURS = 5  # overlapping hits that make a face; fewer find more faces and more false positives
MIN_SIDE = 24  # pixels, the cascade's own window is 20
MIN_FRACTION = 0.03  # of the shorter side of the picture, and at least MIN_SIDE


class Box(NamedTuple):
    """A face's box in pixels of the picture."""

    left: int
    top: int
    width: int
    height: int


class FaceDetector:
    """Finds faces; safe to use from several threads."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._cascade()  # a missing package is reported at once

    def find(self, grey: np.ndarray) -> list[Box]:
        """Return the faces in a picture, the largest first.

        Args:
            grey: uint8 (height, width).
        """
        side = max(MIN_SIDE, round(MIN_FRACTION * min(grey.shape)))
        boxes = self._cascade().detectMultiScale(
            np.ascontiguousarray(grey), SCALE_STEP, MIN_NEIGHBOURS, minSize=(side, side)
        )
        return sorted((Box(*map(int, box)) for box in boxes), key=lambda box: -box.width * box.height)

    def _cascade(self) -> Any:
        """Return this thread's cascade; one must not be used by two threads at once."""
        if not hasattr(self._local, "cascade"):
            cv2 = import_cv2()
            if not hasattr(cv2, "CascadeClassifier"):  # OpenCV 5 moved it into another package, without the models
                raise UserError(
                    f"finding faces needs OpenCV 4, and {cv2.__version__} is installed: pip install "
                    "'opencv-python-headless>=4.10,<5', or give faces already cut out with --no-detect"
                )
            self._local.cascade = cv2.CascadeClassifier(cv2.data.haarcascades + CASCADE)
        return self._local.cascade


def import_cv2() -> Any:
    """Import OpenCV.

    Raises:
        UserError: It is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise UserError(
            f"finding faces and reading videos needs OpenCV ({error}): pip install 'opencv-python-headless>=4.10,<5', "
            "or give faces already cut out with --no-detect"
        ) from error
    return cv2


def cut_out(pixels: np.ndarray, box: Box) -> np.ndarray:
    """Return the part of a picture, (height, width) or (height, width, 3), inside a box."""
    return pixels[box.top : box.top + box.height, box.left : box.left + box.width]
