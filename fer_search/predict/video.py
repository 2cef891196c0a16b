"""Predicting the faces of a video or a camera, frame by frame; drawn live where there is a display."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fer_search.errors import UserError
from fer_search.export.runtime import ExportedModel
from fer_search.predict.drawing import draw_faces
from fer_search.predict.faces import FaceDetector, cut_out, import_cv2
from fer_search.predict.photos import fit_to_network
from fer_search.predict.pipeline import Face

MAX_WINDOW = 1280  # pixels, the longest side of the window


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame and its faces.

    Args:
        picture: RGB.
        seconds: Since the beginning of the video, or since the camera was opened.
        faces: The largest first.
    """

    picture: Image.Image
    seconds: float
    faces: list[Face]


class Video:
    """A video file or a camera.

    Args:
        source: Path of a video, or the number of a camera.

    Raises:
        UserError: It cannot be opened.
    """

    def __init__(self, source: Path | int) -> None:
        cv2 = import_cv2()
        self.source, self.live = source, isinstance(source, int)
        if isinstance(source, Path) and not source.is_file():
            raise UserError(f"{source}: no such file")
        try:
            self.capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
            opened = self.capture.isOpened()
        except cv2.error:  # a camera's number beyond a C int
            opened = False
        if not opened and self.live:
            raise UserError(f"--camera {source}: no such camera, or another program uses it")
        if not opened:
            raise UserError(f"{source} is not a video that OpenCV can read")
        self.frames_per_second = float(self.capture.get(cv2.CAP_PROP_FPS)) or 25.0
        self.frame_count = max(0, int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def frames(self) -> Iterator[tuple[float, np.ndarray]]:
        """Return each frame's time in seconds and its pixels, uint8 (height, width, 3), RGB."""
        cv2, began, number = import_cv2(), time.monotonic(), 0
        while True:
            complete, pixels = self.capture.read()
            if not complete:
                return
            seconds = time.monotonic() - began if self.live else number / self.frames_per_second
            number += 1
            yield seconds, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)

    def close(self) -> None:
        self.capture.release()


def predict_video(model: ExportedModel, video: Video, detector: FaceDetector) -> Iterator[Frame]:
    """Find and predict the faces of every frame."""
    shape = model.info.shape
    for seconds, pixels in video.frames():
        picture = Image.fromarray(pixels)
        grey = np.asarray(picture.convert("L"))
        boxes = detector.find(grey)
        faces: list[Face] = []
        if boxes:
            inputs = np.stack([fit_to_network(cut_out(pixels, box), shape) for box in boxes])
            probabilities = model.probabilities(inputs)
            faces = [Face(box, values) for box, values in zip(boxes, probabilities, strict=True)]
        draw_faces(picture, faces, model.info.classes)
        yield Frame(picture, seconds, faces)


class VideoFile:
    """Writes frames as an .mp4 file; the size is the first frame's."""

    def __init__(self, path: Path, frames_per_second: float) -> None:
        self.path, self.frames_per_second = path, frames_per_second
        self._writer: Any = None

    def write(self, frame: Frame) -> None:
        cv2 = import_cv2()
        if self._writer is None:
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self.path), code, self.frames_per_second, frame.picture.size)
            if not self._writer.isOpened():
                raise UserError(f"{self.path} cannot be written; choose another --annotate")
        self._writer.write(cv2.cvtColor(np.asarray(frame.picture), cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()


class Window:
    """A window that shows frames, by Tk, which comes with Python; closing it ends the video.

    Args:
        title: Of the window.

    Raises:
        UserError: Python has no Tk, or there is no display.
    """

    def __init__(self, title: str) -> None:
        try:
            import tkinter
        except ImportError as error:
            raise UserError("showing the video needs Tk: install your system's package python3-tk") from error
        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise UserError(f"there is no display ({error}); give --annotate DIR to write a video instead") from error
        self._root.title(title)
        self._label = tkinter.Label(self._root)
        self._label.pack()
        self._image: Any = None
        self.open = True
        self._root.protocol("WM_DELETE_WINDOW", self.close)
        self._root.bind("q", lambda _: self.close())
        self._root.bind("<Escape>", lambda _: self.close())

    def show(self, frame: Frame) -> None:
        """Show a frame."""
        from PIL import ImageTk

        picture = frame.picture
        if max(picture.size) > MAX_WINDOW:
            picture = picture.copy()
            picture.thumbnail((MAX_WINDOW, MAX_WINDOW))
        self._image = ImageTk.PhotoImage(picture, master=self._root)  # Tk keeps no reference of its own
        self._label.configure(image=self._image)
        self._root.update()

    def close(self) -> None:
        if self.open:
            self.open = False
            self._root.destroy()


def has_display() -> bool:
    """Whether a window can be shown here."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
