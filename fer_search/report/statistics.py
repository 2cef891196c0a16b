"""How sure an accuracy is, and which accuracies cannot be told apart."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm


def wilson_interval(accuracy: np.ndarray | float, count: int, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval in which the true accuracy lies, from the accuracy over ``count`` images.

    Wilson 1927's score interval, which keeps its coverage for small counts and near 0 and 1 (Brown, Cai & DasGupta 2001).
    It speaks of which images were drawn for validation; it does not know that training again with another seed gives
    another network, nor that a best epoch was chosen.

    Args:
        accuracy: shares from 0 to 1.
        count: images that they were measured on, at least 1.
        level: share of such intervals that hold the true value.

    Returns:
        Lower and upper ends, of the shape of ``accuracy``.
    """
    p = np.asarray(accuracy, np.float64)
    z = norm.ppf(0.5 + level / 2)
    centre = (p + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def as_good_as_best(accuracy: np.ndarray, count: int, level: float = 0.95) -> np.ndarray:
    """Say which accuracies cannot be told apart from the best of them.

    A two-proportion z-test against the best, on ``count`` images each. The trials share their validation images, so the
    truth lies nearer: this calls too many trials equal rather than too few. (McNemar's test would need each trial's
    predictions.)

    Args:
        accuracy: shares from 0 to 1, (n,); NaN for none.
        count: images that each was measured on.
        level: confidence.

    Returns:
        bool (n,).
    """
    p = np.asarray(accuracy, np.float64)
    if not np.isfinite(p).any():
        return np.zeros(len(p), bool)
    best = np.nanmax(p)
    pooled = (p + best) / 2
    error = np.sqrt(2 * pooled * (1 - pooled) / count)
    return np.isfinite(p) & (best - p <= norm.ppf(0.5 + level / 2) * error)


def mean_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of some trials' accuracies and its interval (Student's t); NaN ends for a single trial."""
    from scipy.stats import t

    values = np.asarray(values, np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = float(t.ppf(0.5 + level / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half
