"""Mixup: blends of two images and of their labels (Zhang et al. 2018, arXiv:1710.09412)."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops


def draw_partners(rng: np.random.Generator, steps: int, batch: int) -> np.ndarray:
    """Draw the row of the same batch that each image is mixed with: int32 (steps * batch,), a permutation a step."""
    return np.argsort(rng.random((steps, batch)), axis=1).astype(np.int32).reshape(steps * batch)


def draw_shares(rng: np.random.Generator, count: int, alpha: float) -> np.ndarray:
    """Draw each image's own share of its blend from Beta(alpha, alpha); float32 (count,), from 0 to 1."""
    return rng.beta(alpha, alpha, count).astype(np.float32)


def mix(values: Any, others: Any, shares: Any) -> Any:
    """Blend each row with another: share of its own plus 1 - share of the other.

    Args:
        values: float32 (n, ...), images or labels.
        others: float32 (n, ...), what each row is blended with.
        shares: float32 (n,).

    Returns:
        float32 (n, ...).
    """
    shares = ops.reshape(shares, (-1,) + (1,) * (len(values.shape) - 1))
    return shares * values + (1.0 - shares) * others
