"""Confidence intervals of accuracies, and significance of their differences."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np


def wilson_interval(accuracy: np.ndarray | float, count: int, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Return the confidence interval of an accuracy that was measured on ``count`` images.

    Wilson's score interval (1927), which keeps its coverage for small counts and near 0 and 1 (Brown, Cai & DasGupta
    2001). It covers the sampling of validation images, not the variation between seeds, nor the choice of the best
    epoch.

    Args:
        accuracy: accuracies from 0 to 1, any shape.
        count: number of images, at least 1.
        level: confidence level.

    Returns:
        Lower and upper limits, of the shape of ``accuracy``.
    """
    p = np.asarray(accuracy, np.float64)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    centre = (p + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def indistinguishable_from_best(
    accuracy: np.ndarray,
    count: int,
    level: float = 0.95,
    seeds: np.ndarray | None = None,
    deviation: tuple[float, int] | None = None,
) -> np.ndarray:
    """Return which accuracies are not significantly different from the best of them.

    Two-proportion z-tests against the best, on ``count`` images each, with Bonferroni's correction for their number,
    because the best of many is selected. Conservative: the trials share their validation images, which makes
    differences more certain than between separate samples. McNemar's test would use that, but needs each trial's
    predictions.

    Without ``deviation`` the tests are about these trainings: the truly best is among the True ones with at least the
    given confidence, but another seed could change the order. With it, the variance between seeds is added, and
    Student's t takes the place of the normal distribution.

    Args:
        accuracy: from 0 to 1, float (n,); NaN where unknown; a mean where there are several seeds.
        count: number of images that each was measured on.
        level: confidence level.
        seeds: number of seeds of each, int (n,); one by default.
        deviation: standard deviation of the accuracy between seeds, and its degrees of freedom; None if unknown.

    Returns:
        bool (n,); all False where no accuracy is finite.
    """
    p = np.asarray(accuracy, np.float64)
    finite = np.isfinite(p)
    if not finite.any():
        return finite
    others = max(1, int(finite.sum()) - 1)
    corrected = 1 - (1 - level) / others
    best = int(np.nanargmax(p))
    pooled = (p + p[best]) / 2
    variance = 2 * pooled * (1 - pooled) / count
    quantile = _z(corrected)
    if deviation is not None:
        k = np.ones(len(p)) if seeds is None else np.maximum(np.asarray(seeds, float), 1)
        variance = variance + deviation[0] ** 2 * (1 / k + 1 / k[best])
        quantile = _t(deviation[1], corrected)
    with np.errstate(invalid="ignore"):
        alike: np.ndarray = finite & (p[best] - p <= quantile * np.sqrt(variance))
    return alike


def pooled_deviation(groups: Sequence[np.ndarray]) -> tuple[float, int] | None:
    """Return the standard deviation between the seeds of a design, pooled over designs, and its degrees of freedom.

    Args:
        groups: accuracies of each design, one a seed, float (k,).

    Returns:
        None where no design has two seeds.
    """
    dof = sum(len(group) - 1 for group in groups if len(group))
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups if len(group))
    return ((squares / dof) ** 0.5, dof) if dof else None


def mean_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of some accuracies and its Student's t interval.

    Args:
        values: float (n,), n at least 1.
        level: confidence level.

    Returns:
        Mean, lower and upper limit; NaN limits below three values, where the interval is wider than any plot.
    """
    from scipy.special import stdtrit  # a third of the import time of scipy.stats

    values = np.asarray(values, np.float64)
    mean, n = float(values.mean()), len(values)
    if n < 3:
        return mean, float("nan"), float("nan")
    half = float(stdtrit(n - 1, 0.5 + level / 2) * values.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def holm(p: np.ndarray) -> np.ndarray:
    """Return p-values corrected for multiple comparisons (Holm 1979).

    Args:
        p: float (n,), of any tests.
    """
    p = np.asarray(p, np.float64)
    order = np.argsort(p)
    corrected = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    result = np.empty_like(corrected)
    result[order] = np.minimum(corrected, 1)
    return result


class Difference(NamedTuple):
    """A difference of two accuracies, shares.

    Attributes:
        difference, low, high: it and its 95% interval; NaN ends where it is not known.
        p: of no difference, two-sided; NaN where one seed each says nothing about another.
        dof: degrees of freedom that the seeds' spread is estimated from; 0 where it is not known.
    """

    difference: float
    low: float
    high: float
    p: float
    dof: int


def repeated_interval(accuracies: np.ndarray, images: int | None, level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean accuracy of one design trained with k seeds, and its confidence interval.

    half**2 = (t s / sqrt(k))**2 + z**2 m (1 - m) / n, with the mean m, the seeds' standard deviation s, Student's t of
    k - 1 degrees of freedom, the normal quantile z and n images. All seeds are measured on the same images, so
    their sampling error does not shrink with k, and is added in full. Slightly too wide, because part of that error is
    also in the variation between seeds. With one seed it is Wilson's interval, of the images alone.

    Args:
        accuracies: one a seed, float (k,), k at least 1.
        images: number of images; None where it is not known, and left out.
        level: confidence level.

    Returns:
        Mean, lower and upper limit; NaN limits for one seed on an unknown number of images.
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
    network q was trained with one seed, assumed to vary as ours do. Too wide where both were measured on the same
    images. With one seed, it covers the images alone.

    Args:
        accuracies: measured here, one a seed, float (k,), k at least 1.
        images: number of images that they were measured on; None where it is not known.
        published: the published accuracy.
        published_images: number of images that it was measured on.
        level: confidence level.

    Returns:
        Difference, lower and upper limit; NaN limits where ``images`` is None.
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


def difference_of_means(
    a: np.ndarray, b: np.ndarray, images: int | None, level: float = 0.95, spread: float | None = None
) -> Difference:
    """Compare two designs, each trained with some seeds and measured on the same images.

    Student's two-sample t test over the seeds with a pooled standard deviation (that of the other design, where one
    has a single seed), at least that of rounding to one image. Without ``spread`` it is about other seeds on these
    images; with it the interval also covers other images: half**2 = (t s sqrt(1 / k + 1 / l))**2 + (z spread)**2 / n.
    With one seed each, it covers images alone, by default as if each design had been measured on images of its own.

    Args:
        a: accuracies of one design, one a seed, float (k,), k at least 1.
        b: accuracies of the other design.
        images: number of images that all were measured on; None where it is not known.
        level: confidence level.
        spread: standard deviation over the images of the fraction of a's networks that are right on an image minus the
            fraction of b's; None if unknown.

    Returns:
        a minus b; its ``p`` is that of the t test.
    """
    from scipy.special import stdtr

    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    difference, dof = float(a.mean() - b.mean()), len(a) + len(b) - 2
    sampled = 0.0 if spread is None or not images else _z(level) * spread / np.sqrt(images)
    if dof == 0:
        half = _z(level) * np.hypot(_error(float(a[0]), images), _error(float(b[0]), images)) if images else np.nan
        half = sampled or half
        return Difference(difference, difference - half, difference + half, float("nan"), 0)
    variance = (((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / dof
    smallest = 1 / images**2 / 12 if images else 1e-12  # of numbers rounded to 1 / images
    error = float(np.sqrt(max(variance, smallest) * (1 / len(a) + 1 / len(b))))
    half = float(np.hypot(_t(dof, level) * error, sampled))
    p = float(2 * stdtr(dof, -abs(difference) / error))
    return Difference(difference, difference - half, difference + half, p, dof)


def selection_bias(accuracy: float, images: int, trials: int) -> float:
    """Return by how much the best of some equally good trials is too high on average: the selection bias from images.

    The expected maximum of ``trials`` normal numbers (Blom's approximation, 1958) times the standard error of an
    accuracy. It is smaller where the trials err on the same images, as they largely do, and larger where other seeds
    give other accuracies.

    Args:
        accuracy: of the best, from 0 to 1.
        images: number of images that each was measured on.
        trials: number of trials, at least 1.
    """
    return max(0.0, NormalDist().inv_cdf((trials - 0.375) / (trials + 0.25))) * _error(accuracy, images)


def _t(dof: int, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(dof, 0.5 + level / 2))


def _z(level: float) -> float:
    return NormalDist().inv_cdf(0.5 + level / 2)


def _error(accuracy: float, images: int | None) -> float:
    """Return the standard error of an accuracy over some images; 0 where their number is not known.

    With two successes and two failures added (Agresti & Coull 1998), so that it is not 0 for an accuracy of 0 or 1.
    """
    if not images:
        return 0.0
    adjusted = (accuracy * images + 2) / (images + 4)
    return float(np.sqrt(adjusted * (1 - adjusted) / (images + 4)))


def difference_of_runs(accuracies: np.ndarray, images: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Return the first accuracy minus the second, and the interval for two proportions (Wald, plus one success each).

    Args:
        accuracies: float (2,).
        images: numbers of images that they were measured on, (2,).
        level: confidence level.

    Returns:
        Difference, lower and upper limit.
    """
    adjusted = (accuracies * images + 1) / (images + 2)  # Agresti & Caffo 2000: keeps the coverage for small counts
    half = _z(level) * float(np.sqrt((adjusted * (1 - adjusted) / (images + 2)).sum()))
    middle = float(adjusted[0] - adjusted[1])
    return float(accuracies[0] - accuracies[1]), middle - half, middle + half
