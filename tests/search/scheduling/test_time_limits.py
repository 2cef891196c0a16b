"""Designs that are too slow are left out, with the reason; by an estimate that a resumed run finds again."""

import pytest

from fer_search.search.scheduling.speed import Speed
from fer_search.search.scheduling.time_limits import TimeLimits, speed_from_json, speed_to_json
from fer_search.training.trial import TrialFailed

SPEED = Speed(floor=0.001, flops=1e9, trial=2.0)  # an image of a network of 1e6 FLOPs: 4 ms


def test_an_epoch_that_takes_too_long_is_left_out():
    limits = TimeLimits(SPEED, images=1000, max_seconds_per_epoch=4.5)
    limits.check(flops=10**6, epochs=1000)
    with pytest.raises(TrialFailed, match=r"an estimated 7 s per epoch, more than --max-seconds-per-epoch 4\.5"):
        limits.check(flops=2 * 10**6, epochs=1)


def test_a_design_that_cannot_reach_its_epochs_in_the_whole_time_is_left_out():
    limits = TimeLimits(SPEED, images=1000, time_budget=60)
    limits.check(flops=10**6, epochs=15)
    with pytest.raises(TrialFailed, match=r"epochs would take an estimated .* min, more than --time-budget 1 min"):
        limits.check(flops=10**6, epochs=30)


def test_nothing_is_left_out_where_nothing_was_timed_or_asked_for():
    TimeLimits(None, images=1000, max_seconds_per_epoch=1e-9, time_budget=1e-9).check(10**12, 1000)
    TimeLimits(SPEED, images=1000).check(10**12, 1000)


def test_the_time_model_comes_back_from_run_json():
    assert speed_from_json(speed_to_json(SPEED)) == SPEED
    assert speed_from_json(None) is None
