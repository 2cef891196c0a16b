"""Estimating the run time from a small and a large design."""

import pytest

from fer_search.design import Design, Residual
from fer_search.models import Cost
from fer_search.search.scheduling import estimate
from fer_search.search.scheduling.estimate import SampledDesign, time_designs


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
