"""Confusion matrix, per-class scores and calibration of the best network, from its predictions in the run folder."""

from __future__ import annotations

import base64
import io
from typing import NamedTuple

import numpy as np
import pandas as pd

from fer_search.report.statistics.inference import wilson_interval
from fer_search.runfolder.predictions import Predictions

DRAWS = 2000  # of the bootstrap behind F1's interval


class Bin(NamedTuple):
    """Images with similar confidence: mean confidence, accuracy with its interval, and number of images."""

    confidence: float
    accuracy: float
    low: float
    high: float
    images: int


def confusion(predictions: Predictions) -> np.ndarray:
    """Return how many images of each label (row) were predicted as each class (column), int (classes, classes)."""
    size = len(predictions.classes)
    return np.bincount(predictions.labels * size + predictions.predicted, minlength=size * size).reshape(size, size)


def per_class(counts: np.ndarray, classes: tuple[str, ...], seed: int = 0) -> pd.DataFrame:
    """Return precision, recall and F1 of each class with 95% intervals.

    Wilson's for precision and recall; for F1 a bootstrap over the images, none where no image was classified correctly.

    Args:
        counts: from ``confusion``.
        classes: their names.
        seed: random seed of the bootstrap.

    Returns:
        One row a class: ``class``, ``images`` and, for each of "precision", "recall" and "f1", that name and that name
        with "_low" and "_high".
    """
    correct, labelled, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    table = pd.DataFrame({"class": classes, "images": labelled})
    for name, total in (("precision", predicted), ("recall", labelled)):
        with np.errstate(divide="ignore", invalid="ignore"):
            share = correct / total
        ends = [wilson_interval(p, n) if n else (np.nan, np.nan) for p, n in zip(share, total, strict=True)]
        table[name], table[f"{name}_low"], table[f"{name}_high"] = share, *np.array(ends, float).reshape(-1, 2).T
    draws = np.random.default_rng(seed).multinomial(counts.sum(), counts.ravel() / counts.sum(), DRAWS)
    table["f1"] = _f1(counts[None])[0]
    ends = np.nanquantile(_f1(draws.reshape(DRAWS, *counts.shape)), [0.025, 0.975], axis=0)
    table["f1_low"], table["f1_high"] = np.where(correct > 0, ends, np.nan)
    return table


def _f1(counts: np.ndarray) -> np.ndarray:
    correct = np.diagonal(counts, axis1=1, axis2=2)
    both = counts.sum(axis=1) + counts.sum(axis=2)
    scores: np.ndarray = 2 * correct / np.maximum(both, 1)
    return scores


def calibration(predictions: Predictions, most: int = 10) -> tuple[list[Bin], float]:
    """Return accuracy by confidence, and the expected calibration error (Guo et al. 2017).

    Args:
        predictions: from ``load_predictions``.
        most: maximum number of bins, with equally many images.
    """
    confidence = predictions.probabilities.max(axis=1).astype(float)
    correct = (predictions.predicted == predictions.labels).astype(float)
    parts = [part for part in np.array_split(np.argsort(confidence, kind="stable"), most) if len(part)]
    bins = []
    for part in parts:
        low, high = wilson_interval(correct[part].mean(), len(part))
        bins.append(
            Bin(float(confidence[part].mean()), float(correct[part].mean()), float(low), float(high), len(part))
        )
    error = sum(one.images * abs(one.confidence - one.accuracy) for one in bins) / len(confidence)
    return bins, error


def picture(image: np.ndarray) -> str:
    """Return an image as a data URL of a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.asarray(image, np.uint8)).save(file, "png")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
