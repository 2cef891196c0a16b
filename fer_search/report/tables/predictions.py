"""What is known of the best network: predictions and layers, from files that a search leaves in the run folder.

Both files may be missing (older runs, stock Keras Tuner); the report then says so, and asks for neither Keras nor data.

``predictions.npz`` (written by ``fer_search.search.trials.predictions``): ``trial`` (str), its id; ``probabilities`` float16
(n, 7) for the validation images without augmentation; ``labels`` uint8 (n,); ``mistakes`` int64 (k,), which of the n
images were most surely wrong, the worst first; ``mistake_images`` uint8 (k, 48, 48).

``trial_ID/layers.json``: ``{"layers": [{"name": "conv2d", "kind": "Conv2D", "output": [48, 48, 64], "parameters": 640},
...]}``, in the order of the network, ``output`` without the batch.
"""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fer_search.data.dataset import CLASSES
from fer_search.errors import UserError
from fer_search.report.statistics.inference import wilson_interval
from fer_search.runfolder.run_json import read_json

PREDICTIONS, LAYERS = "predictions.npz", "layers.json"
DRAWS = 2000  # of the bootstrap behind F1's interval


class Predictions(NamedTuple):
    """What predictions.npz holds; see the head of this file."""

    trial: str
    labels: np.ndarray
    probabilities: np.ndarray
    mistakes: np.ndarray
    images: np.ndarray
    classes: tuple[str, ...] = CLASSES

    @property
    def said(self) -> np.ndarray:
        """The class that the network puts first, (n,)."""
        return self.probabilities.argmax(axis=1)


class Bin(NamedTuple):
    """The images whose predictions were about as sure: mean confidence, share right with its interval, and images."""

    confidence: float
    accuracy: float
    low: float
    high: float
    images: int


def load_predictions(run: str | Path) -> Predictions | None:
    """Read a run's predictions; None where the search left none.

    Raises:
        UserError: the file is broken; the message names it.
    """
    file = Path(run) / PREDICTIONS
    if not file.exists():
        return None
    try:
        with np.load(file, allow_pickle=False) as arrays:
            found = Predictions(
                str(arrays["trial"]),
                arrays["labels"].astype(int),
                arrays["probabilities"].astype(np.float32),
                arrays["mistakes"].astype(int),
                arrays["mistake_images"],
            )
        count, mistakes = len(found.labels), found.mistakes
        whole = found.probabilities.shape == (count, len(CLASSES)) and len(mistakes) == len(found.images)
        if not whole or not count or not (found.labels < len(CLASSES)).all() or not (mistakes < count).all():
            raise ValueError("its arrays do not fit together")
    except (OSError, EOFError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise UserError(f"{file} cannot be read ({error}); move it away, and the report does without it") from error
    return found


def load_layers(run: str | Path, trial: str) -> list[dict[str, Any]]:
    """Read a trial's layers; empty where the search left none.

    Raises:
        UserError: the file is broken; the message names it.
    """
    file = Path(run) / f"trial_{trial}" / LAYERS
    return [dict(one) for one in read_json(file).get("layers", [])] if file.exists() else []


def confusion(predictions: Predictions) -> np.ndarray:
    """Return how many images of each label (row) were said to be each class (column), int (7, 7)."""
    size = len(predictions.classes)
    return np.bincount(predictions.labels * size + predictions.said, minlength=size * size).reshape(size, size)


def per_class(counts: np.ndarray, classes: tuple[str, ...], seed: int = 0) -> pd.DataFrame:
    """Return precision, recall and F1 of each class with 95% intervals.

    Wilson's for precision and recall; for F1 a bootstrap over the images, none where no image was right.

    Args:
        counts: from ``confusion``.
        classes: their names.
        seed: of the bootstrap.

    Returns:
        One row a class: ``class``, ``images`` and, for each of "precision", "recall" and "f1", that name and that name
        with "_low" and "_high".
    """
    right, labelled, said = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    table = pd.DataFrame({"class": classes, "images": labelled})
    for name, total in (("precision", said), ("recall", labelled)):
        with np.errstate(divide="ignore", invalid="ignore"):
            share = right / total
        ends = [wilson_interval(p, n) if n else (np.nan, np.nan) for p, n in zip(share, total, strict=True)]
        table[name], table[f"{name}_low"], table[f"{name}_high"] = share, *np.array(ends, float).reshape(-1, 2).T
    draws = np.random.default_rng(seed).multinomial(counts.sum(), counts.ravel() / counts.sum(), DRAWS)
    table["f1"] = _f1(counts[None])[0]
    ends = np.nanquantile(_f1(draws.reshape(DRAWS, *counts.shape)), [0.025, 0.975], axis=0)
    table["f1_low"], table["f1_high"] = np.where(right > 0, ends, np.nan)
    return table


def _f1(counts: np.ndarray) -> np.ndarray:
    right = np.diagonal(counts, axis1=1, axis2=2)
    both = counts.sum(axis=1) + counts.sum(axis=2)
    return 2 * right / np.maximum(both, 1)


def calibration(predictions: Predictions, most: int = 10) -> tuple[list[Bin], float]:
    """Return how often the network is right when it is so sure, and the expected calibration error (Guo et al. 2017).

    Args:
        predictions: from ``load_predictions``.
        most: bins, of equally many images.
    """
    sure = predictions.probabilities.max(axis=1).astype(float)
    right = (predictions.said == predictions.labels).astype(float)
    parts = [part for part in np.array_split(np.argsort(sure, kind="stable"), most) if len(part)]
    found = []
    for part in parts:
        low, high = wilson_interval(right[part].mean(), len(part))
        found.append(Bin(float(sure[part].mean()), float(right[part].mean()), float(low), float(high), len(part)))
    error = sum(one.images * abs(one.confidence - one.accuracy) for one in found) / len(sure)
    return found, error


def picture(image: np.ndarray) -> str:
    """Return a grey image as the address of a PNG file in itself."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.asarray(image, np.uint8)).save(file, "png")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
