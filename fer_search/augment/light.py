"""Brightness and contrast."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops


def draw_light(rng: np.random.Generator, count: int, brightness: float, contrast: float) -> np.ndarray:
    """Draw how each image's light changes: float32 (count, 2), a factor on contrast and grey values to add."""
    u = rng.uniform(-1.0, 1.0, (count, 2))
    return np.stack([1.0 + contrast * u[:, 0], 255.0 * brightness * u[:, 1]], axis=1).astype(np.float32)


def relight(images: Any, light: Any) -> Any:
    """Scale each image's distances to its own mean, then raise or lower its grey values; they stay from 0 to 255.

    Args:
        images: float32 (n, h, w).
        light: float32 (n, 2), from ``draw_light``.

    Returns:
        float32 (n, h, w).
    """
    mean = ops.mean(images, axis=(1, 2), keepdims=True)
    factor, more = light[:, 0, None, None], light[:, 1, None, None]
    return ops.clip((images - mean) * factor + mean + more, 0.0, 255.0)
