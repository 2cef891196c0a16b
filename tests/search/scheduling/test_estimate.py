"""Estimating the run time from a small and a large design."""

import pytest

from fer_search.design import Design, Optimisation, Residual
from fer_search.models import Cost
from fer_search.search.scheduling import estimate
from fer_search.search.scheduling.budget import TrialBudgets
from fer_search.search.scheduling.estimate import (
    SampledDesign,
    Speed,
    equivalent_images,
    estimate_seconds,
    time_designs,
    training_flops,
)


def test_epochs_at_low_resolution_cost_less():
    """Half of the epochs at two thirds of the side: half of the FLOPs times 1 and half times 4/9."""
    assert training_flops(Design(optimisation=Optimisation(low_resolution=32)), 900) == pytest.approx(650)
    assert training_flops(Design(), 900) == 900


@pytest.mark.parametrize(
    ("works", "expensive", "timed"),
    [({1, 9}, True, [1, 9]), ({1}, True, [1, 9]), ({1, 9}, False, [1]), (set(), True, [1])],
)
def test_designs_that_cannot_be_trained_do_not_spoil_the_estimate(monkeypatch, works, expensive, timed):
    """Such as the most expensive of a space, out of memory; a design without a cost cannot even be built."""
    tried = []

    def time(sampled, data, throughput, stop, devices):
        tried.append(sampled.cost.flops)
        if sampled.cost.flops not in works:
            raise MemoryError
        return 0.001 * sampled.cost.flops, 1.0

    monkeypatch.setattr(estimate, "_time", time)
    designs = [SampledDesign("", Design(network=Residual(stages=((4,),))), Cost(5, flops)) for flops in (0, 9, 1)]
    speed = time_designs(designs, None, expensive=expensive)
    assert tried == timed
    assert not works or speed.image(1) == pytest.approx(0.001)
    assert not {9} & works or speed.image(9) == pytest.approx(0.009)
    assert speed.image(1) > 0


def test_validated_images_and_those_of_batch_normalisation_cost_a_third():
    assert equivalent_images(6000, 0) == pytest.approx(6000 + 1024 / 3)
    assert equivalent_images(6000, 3000) == pytest.approx(6000 + (3000 + 1024) / 3)
    assert equivalent_images(300, 90) == pytest.approx(300 + (90 + 300) / 3)


def test_the_estimate_is_trials_plus_images_over_speed():
    """Two designs of known time: 2 baseline epochs of 1 s each, then 3 trials of 4 epochs, 1 s per trial besides."""
    designs = [SampledDesign("", Design(), Cost(1, 1000))] * 3
    speed = Speed(floor=0.0, flops=3e5, trial=1.0)  # 0.01 s an image
    budgets = TrialBudgets((2, 4, 4, 4))
    low, high = estimate_seconds(designs, speed, budgets, 1, 70, 20)
    seconds = 4 * 1.0 + 14 * 0.01 * (70 + (20 + 70) / 3)
    assert (low, high) == (pytest.approx(0.8 * seconds), pytest.approx(1.4 * seconds))
