"""Mixup: convex combinations of two images and of their labels (Zhang et al. 2018, arXiv:1710.09412)."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops


def draw_partners(rng: np.random.Generator, steps: int, batch: int) -> np.ndarray:
    """Draw the batch index that each image is mixed with: int32 (steps * batch,), a permutation per step."""
    return np.argsort(rng.random((steps, batch)), axis=1).astype(np.int32).reshape(steps * batch)


def draw_lam(rng: np.random.Generator, count: int, alpha: float) -> np.ndarray:
    """Draw each image's own weight from Beta(alpha, alpha): float32 (count,), 0 to 1."""
    return rng.beta(alpha, alpha, count).astype(np.float32)


def mix(values: Any, others: Any, lam: Any) -> Any:
    """Return lam * values + (1 - lam) * others.

    Args:
        values: float32 (n, ...), images or labels.
        others: float32 (n, ...).
        lam: float32 (n,).

    Returns:
        float32 (n, ...).
    """
    lam = ops.reshape(lam, (-1,) + (1,) * (len(values.shape) - 1))
    return lam * values + (1.0 - lam) * others
