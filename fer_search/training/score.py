"""Metrics of predicted probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

METRICS = ("loss", "accuracy", "balanced_accuracy", "macro_f1")
EPSILON = 1e-7  # Keras' lower bound of a probability in cross-entropy


def score(probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> dict[str, float]:
    """Compute mean cross-entropy, accuracy, balanced accuracy, macro F1, and the recall of each class.

    Args:
        probabilities: float (n, classes).
        labels: int (n,).
        class_names: Name of each class, in label order.

    Returns:
        Values of "loss", "accuracy", "balanced_accuracy" (mean recall) and "macro_f1" over the classes that occur, and
        "recall_NAME"; NaN where there are no images.
    """
    if not len(labels):
        return dict.fromkeys((*METRICS, *(f"recall_{name}" for name in class_names)), float("nan"))
    predicted, present = probabilities.argmax(axis=1), np.bincount(labels, minlength=len(class_names))
    correct = predicted == labels
    likelihood = np.clip(probabilities[np.arange(len(labels)), labels].astype(np.float64), EPSILON, 1.0)
    hits = np.bincount(labels[correct], minlength=len(class_names))
    said = np.bincount(predicted, minlength=len(class_names))
    with np.errstate(divide="ignore", invalid="ignore"):
        recall = np.where(present > 0, hits / present, np.nan)
        f1 = 2 * hits / (present + said)
    values = (-np.log(likelihood).mean(), correct.mean(), recall[present > 0].mean(), f1[present > 0].mean())
    recalls = {f"recall_{name}": float(recall[c]) for c, name in enumerate(class_names)}
    return {name: float(value) for name, value in zip(METRICS, values, strict=True)} | recalls
