"""Statistics compared with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from fer_search.report.statistics.inference import (
    indistinguishable_from_best,
    mean_interval,
    pooled_deviation,
    wilson_interval,
)
from fer_search.report.tables.predictions import Predictions, calibration


def test_wilson_known_answer() -> None:
    """Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662, 15 of 148 gives 0.0624 to 0.1605."""
    low, high = wilson_interval(np.array([81 / 263]), 263)
    assert (round(float(low[0]), 4), round(float(high[0]), 4)) == (0.2553, 0.3662)
    low, high = wilson_interval(15 / 148, 148)
    assert (round(float(low), 4), round(float(high), 4)) == (0.0624, 0.1605)


@pytest.mark.parametrize("accuracy", [0.14, 0.3, 0.67, 0.95])
@pytest.mark.parametrize("count", [200, 2871])
def test_wilson_coverage(accuracy: float, count: int, rng: np.random.Generator) -> None:
    measured = rng.binomial(count, accuracy, 20_000) / count
    low, high = wilson_interval(measured, count)
    assert 0.93 < np.mean((low <= accuracy) & (accuracy <= high)) < 0.97


def test_wilson_interval_is_within_0_and_1() -> None:
    low, high = wilson_interval(np.array([0.0, 1.0]), 10)
    assert low[0] == pytest.approx(0)
    assert high[1] == 1
    assert 0 < high[0] < 0.4


def test_mean_interval_coverage(rng: np.random.Generator) -> None:
    ends = np.array([mean_interval(rng.normal(0.6, 0.02, 5))[1:] for _ in range(4000)])
    assert np.mean((ends[:, 0] <= 0.6) & (ends[:, 1] >= 0.6)) == pytest.approx(0.95, abs=0.012)


def test_mean_interval_of_two_values_is_undefined() -> None:
    mean, low, high = mean_interval(np.array([0.5, 0.6]))
    assert mean == pytest.approx(0.55)
    assert np.isnan(low)
    assert np.isnan(high)


def test_indistinguishable_depends_on_the_number_of_images() -> None:
    """With 7,178 images, 0.678 and 0.685 do not differ significantly but 0.6779 and 0.385 do; 300,000 would suffice."""
    accuracies = np.array([0.685, 0.678, 0.6779, 0.676, 0.385])
    assert indistinguishable_from_best(accuracies, 7178).tolist() == [True, True, True, True, False]
    assert indistinguishable_from_best(accuracies, 300_000).tolist() == [True, False, False, False, False]


def test_missing_accuracies_are_never_indistinguishable() -> None:
    assert indistinguishable_from_best(np.array([np.nan, np.nan]), 100).tolist() == [False, False]
    assert indistinguishable_from_best(np.array([np.nan, 0.5]), 100).tolist() == [False, True]


def test_the_true_best_is_marked_as_indistinguishable(rng: np.random.Generator) -> None:
    """With 20 equal trials and one better by a point, the better one is marked at the nominal rate or more often."""
    truth = np.array([0.66] * 20 + [0.67])
    hit = [indistinguishable_from_best(rng.binomial(2871, truth) / 2871, 2871)[-1] for _ in range(1000)]
    assert np.mean(hit) >= 0.95


def test_variation_between_seeds_is_included_where_it_is_known(rng: np.random.Generator) -> None:
    hit, without = [], []
    for _ in range(500):
        seeds = np.clip(rng.normal(0.65, 0.02, (10, 3)), 0, 1)
        measured = rng.binomial(2871, seeds) / 2871
        means, deviation = measured.mean(axis=1), pooled_deviation(list(measured))
        hit.append(indistinguishable_from_best(means, 2871, seeds=np.full(10, 3), deviation=deviation)[-1])
        without.append(indistinguishable_from_best(measured[:, 0], 2871)[-1])
    assert np.mean(hit) >= 0.95
    assert np.mean(without) < 0.85  # one seed each: what the marks do not cover
    assert pooled_deviation([np.array([0.5]), np.array([])]) is None
    assert pooled_deviation([np.array([0.5, 0.7]), np.array([0.4])]) == (pytest.approx(0.02**0.5), 1)


@pytest.mark.parametrize(("others", "z"), [(1, 1.96), (4, 2.4977), (100, 3.4808)])
def test_the_threshold_depends_on_the_number_of_comparisons(others: int, z: float) -> None:
    """Bonferroni: the two-sided normal quantile at 0.05 / others, from a table."""
    best, count = 0.66, 10_000
    border = z * np.sqrt(2 * best * (1 - best) / count)
    for factor, marked in ((0.98, True), (1.02, False)):
        accuracies = np.array([best, *[best - factor * border] * others])
        assert indistinguishable_from_best(accuracies, count)[1:].tolist() == [marked] * others


def test_calibration_error_matches_a_hand_computation() -> None:
    """Two equal bins: confidence 0.9 with accuracy 0.5, and confidence 0.6 with accuracy 1."""
    probabilities = np.full((40, 7), 0.0)
    probabilities[:20, 0], probabilities[:20, 1] = 0.9, 0.1
    probabilities[20:, 2], probabilities[20:, 3] = 0.6, 0.4
    labels = np.array([0, 1] * 10 + [2] * 20)
    given = Predictions("0000", labels, probabilities, np.array([], int), np.zeros((0, 48, 48), np.uint8))
    bins, error = calibration(given, 2)
    assert [(round(b.confidence, 6), b.accuracy, b.images) for b in bins] == [(0.6, 1.0, 20), (0.9, 0.5, 20)]
    assert error == pytest.approx((0.4 + 0.4) / 2)
    _, error = calibration(given._replace(labels=np.array([0] * 20 + [2] * 20)), 1)
    assert error == pytest.approx(1 - 0.75)
