"""Metrics of predicted probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

EPSILON = 1e-7  # Keras' lower bound of a probability in cross-entropy


def score(probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> dict[str, float]:
    """Compute mean cross-entropy, accuracy, and the recall of each class.

    Args:
        probabilities: float (n, classes).
        labels: int (n,).
        class_names: Name of each class, in label order.

    Returns:
        Values of "loss", "accuracy" and "recall_NAME"; NaN where there are no images.
    """
    if not len(labels):
        return dict.fromkeys(("loss", "accuracy", *(f"recall_{name}" for name in class_names)), float("nan"))
    correct = probabilities.argmax(axis=1) == labels
    likelihood = np.clip(probabilities[np.arange(len(labels)), labels].astype(np.float64), EPSILON, 1.0)
    recalls = {
        f"recall_{name}": float(correct[labels == c].mean()) if (labels == c).any() else float("nan")
        for c, name in enumerate(class_names)
    }
    return {"loss": float(-np.log(likelihood).mean()), "accuracy": float(correct.mean())} | recalls
