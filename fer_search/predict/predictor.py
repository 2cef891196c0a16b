"""A run's network, or an exported file, in Python: images in, a table of probabilities out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fer_search import backend
from fer_search.errors import UserError
from fer_search.export.runtime import BATCH_SIZE, ExportedModel, from_keras, open_model
from fer_search.predict.faces import FaceDetector
from fer_search.predict.photos import expand, fit_to_network
from fer_search.predict.pipeline import PhotoResult, predict_files
from fer_search.predict.rows import face_row

RUN_FILES = ("run.json", "oracle.json")
LIGHT_SUFFIXES = (".onnx", ".tflite")  # predict without Keras, which takes seconds to import


class Predictor:
    """Predicts expressions; ``fer_search.load`` returns one.

    Args:
        model: The network.
        keras_model: The same as a plain Keras model; None for TFLite, ONNX and SavedModel files.
    """

    def __init__(self, model: ExportedModel, keras_model: Any = None) -> None:
        self.model, self.keras_model = model, keras_model

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the probabilities."""
        return self.model.info.classes

    def predict(self, images: Any, batch_size: int = BATCH_SIZE) -> pd.DataFrame:
        """Predict faces that are cut out already.

        Args:
            images: uint8 or float array (n, height, width) or (n, height, width, channels), from 0 to 255, of any
                height and width; or a sequence of such arrays (height, width) or (height, width, 3), Pillow images or
                paths of image files.
            batch_size: Images per call of the network.

        Returns:
            One row per image, in order: ``class``, ``probability``, and ``p_NAME`` for each class.

        Raises:
            UserError: An image file cannot be read.
            ValueError: An array is not an image.
        """
        inputs = self._inputs(images)
        parts = [
            self.model.probabilities(np.stack([self._input(image) for image in inputs[first : first + batch_size]]))
            for first in range(0, len(inputs), batch_size)
        ]
        values = np.concatenate(parts) if parts else np.empty((0, len(self.classes)), np.float32)
        best = values.argmax(axis=1) if len(values) else np.empty(0, int)
        table = pd.DataFrame({"class": [self.classes[index] for index in best]}, dtype="string")
        table["probability"] = values[np.arange(len(values)), best]
        for index, name in enumerate(self.classes):
            table[f"p_{name}"] = values[:, index]
        return table

    def find_faces(self, photos: str | Path | Sequence[str | Path], batch_size: int = BATCH_SIZE) -> pd.DataFrame:
        """Find all faces of photos and predict them.

        Args:
            photos: Paths of files or folders, or globs.
            batch_size: Faces per call of the network.

        Returns:
            One row per face, the largest of a photo first: ``file``, ``left``, ``top``, ``width``, ``height`` in
            pixels of the upright photo, and the columns of ``predict``.

        Raises:
            UserError: A photo cannot be read.
        """
        given = [str(photos)] if isinstance(photos, str | Path) else [str(photo) for photo in photos]
        rows = []
        for result in self.results(expand(given, ()), detect=True, batch_size=batch_size):
            if result.error:
                raise UserError(f"{result.path} cannot be read: {result.error}")
            rows += [face_row(str(result.path), face, self.classes) for face in result.faces]
        columns = ["file", "left", "top", "width", "height", "class", "probability"]
        return pd.DataFrame(rows, columns=[*columns, *(f"p_{name}" for name in self.classes)])

    def results(self, paths: Iterable[Path], detect: bool, batch_size: int = BATCH_SIZE) -> Iterable[PhotoResult]:
        """Predict files one after the other, in bounded memory; see ``fer_search.predict.pipeline``."""
        return predict_files(self.model, paths, FaceDetector() if detect else None, batch_size)

    def _inputs(self, images: Any) -> Any:
        if isinstance(images, str | Path) or (isinstance(images, np.ndarray) and images.ndim < 3):
            raise ValueError("give a sequence of images, not a single one: [image]")
        return images if isinstance(images, np.ndarray) else list(images)

    def _input(self, image: Any) -> np.ndarray:
        """Return one image as the network takes it, uint8 or float32 (height, width, channels)."""
        from PIL import Image

        shape = self.model.info.shape
        if isinstance(image, str | Path):
            from fer_search.predict.photos import UnreadablePhoto, read_photo

            try:
                pixels = read_photo(Path(image), colour=shape[2] == 3).pixels
            except UnreadablePhoto as error:
                raise UserError(f"{image} cannot be read: {error}") from error
        elif isinstance(image, Image.Image):
            pixels = np.asarray(image.convert("RGB" if shape[2] == 3 else "L"))
        else:
            pixels = np.asarray(image)
        if pixels.ndim == 3 and pixels.shape[2] == 1:
            pixels = pixels[..., 0]
        if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
            raise ValueError(f"an image must have the shape (height, width[, 1 or 3]), not {pixels.shape}")
        if (*pixels.shape[:2], pixels.shape[2] if pixels.ndim == 3 else 1) == shape:
            return pixels.reshape(shape)
        return fit_to_network(np.clip(np.rint(pixels), 0, 255).astype(np.uint8), shape)


def load(path: str | Path, trial: int | str | None = None, confirmed: bool | None = None) -> Predictor:
    """Load a network to predict with.

        import fer_search

        network = fer_search.load("results/report")
        network.predict(faces)  # a DataFrame: class, probability, and the probability of every class

    Args:
        path: A run folder, or a file that ``fer-search export`` or ``confirm`` wrote (.keras, .tflite, .onnx or a
            SavedModel folder).
        trial: Of a run, a trial's number or a baseline's name; None for the best one.
        confirmed: Of a run, True for the network that ``fer-search confirm`` trained, False for that of the search;
            None for the confirmed one where there is one, otherwise the one of the search.

    Raises:
        UserError: There is no such network, or it cannot be read.
    """
    source = Path(path)
    if not source.exists():
        raise UserError(f"{source}: no such file or folder; give a run folder or an exported model")
    if source.is_dir() and any((source / name).exists() for name in RUN_FILES):
        backend.start()
        from fer_search.export.source import find_network, load_network

        network = find_network(source, None if trial is None else str(trial), confirmed)
        model, info = load_network(network)
        return Predictor(from_keras(model, info, str(source)), model)
    if trial is not None or confirmed is not None:
        raise UserError(f"{source} is no run folder, so it has no trials to choose from")
    if source.suffix not in LIGHT_SUFFIXES:
        backend.start()
    return Predictor(open_model(source))
