"""Random brightness and contrast."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops


def draw_jitter(rng: np.random.Generator, count: int, brightness: float, contrast: float) -> np.ndarray:
    """Draw the change of each image's contrast and brightness.

    Args:
        rng: Random generator.
        count: Number of images.
        brightness: Largest change of brightness as a fraction of the range 0 to 255.
        contrast: Largest relative change of contrast, 0 to 1.

    Returns:
        float32 (count, 2): contrast factor, and gray levels to add.
    """
    u = rng.uniform(-1.0, 1.0, (count, 2))
    return np.stack([1.0 + contrast * u[:, 0], 255.0 * brightness * u[:, 1]], axis=1).astype(np.float32)


def apply_jitter(planes: list[Any], jitter: Any) -> list[Any]:
    """Scale each image's distance from its own mean, add the brightness change, and clip to 0-255.

    Args:
        planes: float32 (n, h, w), one for each channel; the mean is over all of them.
        jitter: float32 (n, 2), from ``draw_jitter``.

    Returns:
        float32 (n, h, w), one for each channel.
    """
    mean = sum(ops.mean(plane, axis=(1, 2), keepdims=True) for plane in planes) / len(planes)
    contrast, brightness = jitter[:, 0, None, None], jitter[:, 1, None, None]
    return [ops.clip((plane - mean) * contrast + mean + brightness, 0.0, 255.0) for plane in planes]
