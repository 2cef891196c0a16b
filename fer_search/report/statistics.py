"""How sure an accuracy is, and which accuracies cannot be told apart."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np


def wilson_interval(accuracy: np.ndarray | float, count: int, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval in which the true accuracy lies, from the accuracy over ``count`` images.

    Wilson 1927's score interval, which keeps its coverage for small counts and near 0 and 1 (Brown, Cai & DasGupta
    2001). It speaks of which images were drawn for validation; it does not know that training again with another seed
    gives another network, nor that a best epoch was chosen.

    Args:
        accuracy: shares from 0 to 1.
        count: images that they were measured on, at least 1.
        level: share of such intervals that hold the true value.

    Returns:
        Lower and upper ends, of the shape of ``accuracy``.
    """
    p = np.asarray(accuracy, np.float64)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    centre = (p + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def as_good_as_best(accuracy: np.ndarray, count: int, level: float = 0.95) -> np.ndarray:
    """Say which accuracies cannot be told apart from the best of them.

    Two-proportion z-tests against the best, on ``count`` images each, Bonferroni's correction for their number: picking
    the best of many by luck is part of the game, so that of many equal trials the lowest must not count as worse. The
    truly best trial is among the True ones with at least the confidence ``level``.

    Conservative: the trials share their validation images, which makes differences surer than for two separate samples.
    McNemar's test would use that, but needs each trial's predictions. What another seed would change is not in it.

    Args:
        accuracy: shares from 0 to 1, (n,); NaN for none.
        count: images that each was measured on.
        level: confidence.

    Returns:
        bool (n,); all False where nothing is finite.
    """
    p = np.asarray(accuracy, np.float64)
    finite = np.isfinite(p)
    if not finite.any():
        return finite
    others = max(1, int(finite.sum()) - 1)
    z = NormalDist().inv_cdf(1 - (1 - level) / 2 / others)
    best = p[finite].max()
    pooled = (p + best) / 2
    with np.errstate(invalid="ignore"):
        return finite & (best - p <= z * np.sqrt(2 * pooled * (1 - pooled) / count))


def mean_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of some trials' accuracies and its interval (Student's t).

    Args:
        values: (n,), at least one.
        level: confidence.

    Returns:
        Mean, lower and upper end; NaN ends below three values, where the interval is wider than any plot.
    """
    from scipy.special import stdtrit  # a third of the import time of scipy.stats

    values = np.asarray(values, np.float64)
    mean, n = float(values.mean()), len(values)
    if n < 3:
        return mean, float("nan"), float("nan")
    half = float(stdtrit(n - 1, 0.5 + level / 2) * values.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def holm(p: np.ndarray) -> np.ndarray:
    """Return p-values corrected for their number (Holm 1979): below 0.05, all such together hold at 95%.

    Args:
        p: (n,), of any tests.
    """
    p = np.asarray(p, np.float64)
    order = np.argsort(p)
    corrected = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    found = np.empty_like(corrected)
    found[order] = np.minimum(corrected, 1)
    return found
