"""predictions.npz of a run folder: what the best network predicts for the validation images; and layers.json.

Arrays of predictions.npz: ``trial`` (str), id of the trial; ``probabilities`` float32 (m, classes), float16 in older
files, on the validation images without augmentation; ``labels`` uint8 (m,); ``rows`` int64 (m,), indices of the images
in the data set; ``mistakes`` int64 (k,), indices into the m images of the most confidently wrong predictions, the worst
first; ``mistake_images`` uint8 (k, height, width) or (k, height, width, 3); ``classes`` (str), their names, absent in
older files of FER2013's classes.

``trial_ID/layers.json`` is ``{"layers": [{"name": "conv2d", "kind": "Conv2D", "output": [48, 48, 64], "parameters":
640}, ...]}``, in network order, ``output`` without the batch axis.

Both may be missing (older runs, stock Keras Tuner projects); the report then says so.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fer_search.data.spec import FER2013_CLASSES
from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.files import write_atomic
from fer_search.runfolder.arrays import NPZ_ERRORS, read_npz
from fer_search.runfolder.json_files import read_json
from fer_search.runfolder.schema import LAYERS_FILE, PREDICTIONS_FILE, TRIAL_PREFIX

MAX_MISTAKES = 40  # images kept for the report


class Predictions(NamedTuple):
    """Content of predictions.npz; see the module docstring."""

    trial: str
    labels: np.ndarray
    probabilities: np.ndarray
    mistakes: np.ndarray
    images: np.ndarray
    classes: tuple[str, ...] = FER2013_CLASSES

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each image, int (m,)."""
        predicted: np.ndarray = self.probabilities.argmax(axis=1)
        return predicted


def write_predictions(
    run: Path,
    trial_id: str,
    probabilities: np.ndarray,
    labels: np.ndarray,
    images: np.ndarray,
    rows: np.ndarray,
    classes: tuple[str, ...] = FER2013_CLASSES,
) -> None:
    """Replace predictions.npz.

    Args:
        run: Run folder.
        trial_id: Id of the trial whose network predicted.
        probabilities: Float (m, classes).
        labels: Int (m,).
        images: uint8 (m, height, width), the validation images.
        rows: Int (m,), their indices in the data set.
        classes: Name of each class.
    """
    mistakes = worst_mistakes(probabilities, labels)
    arrays: dict[str, Any] = {
        "trial": np.array(trial_id),
        "probabilities": probabilities.astype(np.float32),
        "labels": labels.astype(np.uint8),
        "rows": rows.astype(np.int64),
        "mistakes": mistakes,
        "mistake_images": images[mistakes],
        "classes": np.array(classes),
    }
    write_atomic(run / PREDICTIONS_FILE, lambda path: np.savez_compressed(path, allow_pickle=False, **arrays))


def load_predictions(run: str | Path) -> Predictions | None:
    """Read predictions.npz; None where the search wrote none.

    Raises:
        UserError: The file is damaged; the message names it.
    """
    file = Path(run) / PREDICTIONS_FILE
    if not os.path.lexists(file):
        return None
    try:
        with read_npz(file) as arrays:
            predictions = Predictions(
                str(arrays["trial"]),
                arrays["labels"].astype(int),
                arrays["probabilities"].astype(np.float32),
                arrays["mistakes"].astype(int),
                arrays["mistake_images"],
                tuple(map(str, arrays["classes"])) if "classes" in arrays else FER2013_CLASSES,
            )
        _check_shapes(predictions)
    except NPZ_ERRORS as error:
        raise UserError(
            f"{file} cannot be read ({error}); move it away to make the report without it", EXIT_RUN_FOLDER
        ) from error
    return predictions


def predicted_trial(run: Path) -> str | None:
    """Return the trial id in predictions.npz; None where the file is missing or damaged."""
    try:
        with read_npz(run / PREDICTIONS_FILE) as arrays:
            return str(arrays["trial"])
    except NPZ_ERRORS:
        return None


def load_layers(run: str | Path, trial: str) -> list[dict[str, Any]]:
    """Read a trial's layers.json; empty where the search wrote none.

    Raises:
        UserError: The file is damaged; the message names it.
    """
    file = Path(run) / f"{TRIAL_PREFIX}{trial}" / LAYERS_FILE
    return [dict(layer) for layer in read_json(file).get("layers", [])] if file.exists() else []


def worst_mistakes(probabilities: np.ndarray, labels: np.ndarray, limit: int = MAX_MISTAKES) -> np.ndarray:
    """Return the indices of the most confidently wrong predictions, the worst first; int64 (at most limit,)."""
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    return wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:limit].astype(np.int64)


def _check_shapes(predictions: Predictions) -> None:
    count, mistakes, classes = len(predictions.labels), predictions.mistakes, len(predictions.classes)
    consistent = predictions.probabilities.shape == (count, classes) and len(mistakes) == len(predictions.images)
    if not consistent or not count or not (predictions.labels < classes).all() or not (mistakes < count).all():
        raise ValueError("its arrays are inconsistent")
