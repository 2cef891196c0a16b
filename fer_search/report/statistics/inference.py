"""How sure an accuracy is, and which accuracies cannot be told apart."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

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


def indistinguishable_from_best(accuracy: np.ndarray, count: int, level: float = 0.95) -> np.ndarray:
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


class Difference(NamedTuple):
    """A difference of two accuracies, shares.

    Attributes:
        difference, low, high: it and its 95% interval; NaN ends where it is not known.
        p: of no difference, two-sided; NaN where one seed each says nothing about another.
        dof: degrees of dof that the seeds' spread is estimated from; 0 where it is not known.
    """

    difference: float
    low: float
    high: float
    p: float
    dof: int


def repeated_interval(accuracies: np.ndarray, images: int | None, level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean accuracy of one design trained with k seeds, and the interval of its true mean.

    half**2 = (t s / sqrt(k))**2 + z**2 m (1 - m) / n, with the mean m, the seeds' standard deviation s, Student's t of
    k - 1 degrees of dof, the normal quantile z and n images. All seeds are measured on the same images: their
    sampling error does not shrink with k, and is added in full. Slightly too wide: what single seeds get right by luck
    on these images is in both parts. One seed says nothing about the next: then it is Wilson's, of the images alone.

    Args:
        accuracies: one a seed, (k,), at least one.
        images: that all were measured on; None where it is not known, and left out.
        level: confidence.

    Returns:
        Mean, lower and upper end; NaN ends for one seed on an unknown number of images.
    """
    values = np.asarray(accuracies, np.float64)
    mean, k = float(values.mean()), len(values)
    if k == 1:
        low, high = map(float, wilson_interval(mean, images, level)) if images else (float("nan"), float("nan"))
        return mean, low, high
    half = float(np.hypot(_t(k - 1, level) * values.std(ddof=1) / np.sqrt(k), _z(level) * _error(mean, images)))
    return mean, max(0.0, mean - half), min(1.0, mean + half)


def replication_interval(
    accuracies: np.ndarray, images: int | None, published: float, published_images: int, level: float = 0.95
) -> tuple[float, float, float]:
    """Return the mean accuracy here minus a published one, and the interval of the difference.

    half**2 = t**2 s**2 (1 / k + 1) + z**2 (m (1 - m) / n + q (1 - q) / n'), as in ``repeated_interval``: the published
    network q was trained once, with a seed of its own, on whose luck we put what our seeds differ by. Too wide where
    both were measured on the same images. With one seed, it is of the images alone.

    Args:
        accuracies: measured here, one a seed, (k,), at least one.
        images: that they were measured on; None where it is not known.
        published: the other accuracy.
        published_images: that it was measured on.
        level: confidence.

    Returns:
        Difference, lower and upper end; NaN ends where ``images`` is None.
    """
    values = np.asarray(accuracies, np.float64)
    mean, k = float(values.mean()), len(values)
    difference = mean - published
    if not images:
        return difference, float("nan"), float("nan")
    seeds = _t(k - 1, level) * values.std(ddof=1) * np.sqrt(1 / k + 1) if k > 1 else 0.0
    sampled = _z(level) * np.hypot(_error(mean, images), _error(published, published_images))
    half = float(np.hypot(seeds, sampled))
    return difference, difference - half, difference + half


def difference_of_means(a: np.ndarray, b: np.ndarray, images: int | None, level: float = 0.95) -> Difference:
    """Compare two designs, each trained with some seeds and measured on the same images.

    Student's two-sample t over the seeds, with one spread pooled from both (of the other's, where one has one seed).
    It says what other seeds would give on these images: which images were drawn meets both designs alike and largely
    cancels; what is left of that, which images suit which design, is not in it. With one seed each, the interval is of
    two proportions on ``images`` images, and says nothing about seeds.

    Args:
        a: accuracies of one design, a seed each, (k,), at least one.
        b: of the other.
        images: that all were measured on; None where it is not known.
        level: confidence.

    Returns:
        a minus b.
    """
    from scipy.special import stdtr

    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    difference, dof = float(a.mean() - b.mean()), len(a) + len(b) - 2
    if dof == 0:
        half = _z(level) * np.hypot(_error(float(a[0]), images), _error(float(b[0]), images)) if images else np.nan
        return Difference(difference, difference - half, difference + half, float("nan"), 0)
    squares = ((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()
    error = float(np.sqrt(squares / dof * (1 / len(a) + 1 / len(b))))
    half = _t(dof, level) * error
    p = float(2 * stdtr(dof, -abs(difference) / error)) if error else float(difference == 0)
    return Difference(difference, difference - half, difference + half, p, dof)


def selection_bias(accuracy: float, images: int, trials: int) -> float:
    """Return by how much the best of some equally good trials is too high on average, by the draw of images alone.

    The expected maximum of ``trials`` normal numbers (Blom 1958's approximation) times the standard error of an
    accuracy; less where the trials err on the same images, as they largely do: a bound.

    Args:
        accuracy: theirs, a share.
        images: that each was measured on.
        trials: how many of them, at least 1.
    """
    return max(0.0, NormalDist().inv_cdf((trials - 0.375) / (trials + 0.25))) * _error(accuracy, images)


def _t(dof: int, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(dof, 0.5 + level / 2))


def _z(level: float) -> float:
    return NormalDist().inv_cdf(0.5 + level / 2)


def _error(accuracy: float, images: int | None) -> float:
    """Return the standard error of an accuracy over some images; 0 where their number is not known."""
    return float(np.sqrt(accuracy * (1 - accuracy) / images)) if images else 0.0
