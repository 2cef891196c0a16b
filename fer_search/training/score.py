"""What predictions are worth."""

from __future__ import annotations

import numpy as np

from fer_search.data.dataset import CLASSES


def score(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Score predictions: mean cross-entropy, accuracy, and the recall of each class (all NaN without images).

    Args:
        probabilities: float (n, 7).
        labels: int (n,).
    """
    if not len(labels):
        return dict.fromkeys(("loss", "accuracy", *(f"recall_{name}" for name in CLASSES)), float("nan"))
    hit = probabilities.argmax(axis=1) == labels
    given = np.clip(probabilities[np.arange(len(labels)), labels].astype(np.float64), 1e-7, 1.0)  # Keras' epsilon
    recalls = {
        f"recall_{name}": float(hit[labels == c].mean()) if (labels == c).any() else float("nan")
        for c, name in enumerate(CLASSES)
    }
    return {"loss": float(-np.log(given).mean()), "accuracy": float(hit.mean())} | recalls
