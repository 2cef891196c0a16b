"""The remaining time."""

import pytest

from fer_search.search.scheduling.budget import TrialBudgets
from fer_search.search.scheduling.clock import Clock


def test_the_clock_starts_from_the_estimate_and_then_learns():
    now = [0.0]
    clock = Clock(TrialBudgets((2, 2, 2, 2)), (80.0, 160.0), now=lambda: now[0])
    assert clock.left() == (80.0, 160.0)
    clock.begin_trial(0, 0)
    for _ in range(2):
        now[0] += 5
        clock.end_epoch(0, 5.0)
    now[0] += 1
    clock.end_trial(0)
    low, high = clock.left()
    assert low < 6 * 5 + 2 < high
    for number in (1, 2):
        clock.begin_trial(number, 0)
        for _ in range(2):
            now[0] += 5
            clock.end_epoch(number, 5.0)
        clock.end_trial(number)
    narrow = clock.left()
    assert narrow[1] - narrow[0] < high - low
    assert narrow[0] <= 10.5 <= narrow[1] + 1


def test_the_time_between_trials_counts():
    """A trial of two epochs took 10 s and 8 s besides them; two trials are left after the next one has begun."""
    now = [0.0]
    clock = Clock(TrialBudgets((2, 2, 2, 2)), (1.0, 2.0), now=lambda: now[0])
    clock.begin_trial(0, 0)
    for _ in range(2):
        now[0] += 5
        clock.end_epoch(0, 5.0)
    now[0] += 8
    clock.end_trial(0)
    clock.begin_trial(1, 0)
    low, high = clock.left()
    spread = 1.3 * (5 / 3) * (1 / 2 + 1) ** 0.5 * 6  # of one known trial, over six epochs
    assert high == pytest.approx(6 * 5 + 2 * 8 + spread)
    assert low == pytest.approx(max(6 * 5 + 2 * 8 - spread, 0.7 * (6 * 5 + 2 * 8)))


def test_two_workers_take_half_as_long_and_the_last_trial_is_not_divided():
    now = [0.0]
    clock = Clock(TrialBudgets((4, 4, 4, 4, 4)), (80.0, 160.0), workers=2, now=lambda: now[0])
    for number in (0, 1):
        clock.begin_trial(number, 0)
    for _ in range(4):
        now[0] += 5
        for number in (0, 1):
            clock.end_epoch(number, 5.0)
    for number in (0, 1):
        clock.end_trial(number)
    low, high = clock.left()
    assert low <= 40 <= high  # three trials of 20 s on two workers
    clock.begin_trial(2, 0)
    clock.progress(2, 0.5)
    now[0] += 2.5
    low, high = clock.left()
    assert low <= 37.5 <= high
    now[0] += 2.0
    clock.end_trial(2, ended=False)  # its worker was lost: all of it is still to be done
    assert clock.left()[1] >= 40


def test_compilation_in_the_first_epoch_is_not_taken_for_the_speed_of_later_ones():
    """30 s of compilation and epochs of 1 s: eight of these are left, then a trial of ten with its own compilation."""
    now = [0.0]
    clock = Clock(TrialBudgets((10, 10)), (1.0, 2.0), now=lambda: now[0])
    clock.begin_trial(0, 0)
    for seconds in (31.0, 1.0):
        now[0] += seconds
        clock.end_epoch(0, seconds)
    assert clock.left()[1] < 30
    for _ in range(8):
        now[0] += 1
        clock.end_epoch(0, 1.0)
    clock.end_trial(0)
    low, high = clock.left()
    assert low < 40 <= high < 50


def test_the_time_budget_limits_what_is_left_of_the_search_but_not_of_its_work():
    now = [0.0]
    clock = Clock(TrialBudgets((10, 10)), (100.0, 200.0), now=lambda: now[0])
    clock.deadline = 150.0
    assert clock.left() == (100.0, 150.0)
    assert clock.work_left() == (100.0, 200.0)
    now[0] = 160.0
    assert clock.left() == (0.0, 0.0)


def test_a_search_that_only_its_time_budget_ends_takes_all_of_it():
    now = [0.0]
    clock = Clock(TrialBudgets((), endless=True), (150.0, 150.0), now=lambda: now[0])
    clock.deadline = 150.0
    clock.begin_trial(0, 0)
    now[0] = 10.0
    clock.end_epoch(0, 10.0)
    assert clock.left() == (140.0, 140.0)


def test_the_first_epoch_of_all_is_corrected_by_the_estimate_of_its_compilation():
    now = [0.0]
    clock = Clock(TrialBudgets((30,)), (1.0, 2.0), estimated_overhead=25.0, now=lambda: now[0])
    clock.begin_trial(0, 0)
    clock.end_epoch(0, 28.0)
    assert clock.left() == pytest.approx((29 * 5.6, 29 * 5.6))  # at least a fifth of it was training
    clock.end_epoch(0, 1.0)
    assert clock.left() == pytest.approx((28, 28))


def test_the_estimated_overhead_counts_until_a_trial_has_ended():
    now = [0.0]
    clock = Clock(TrialBudgets((1, 1, 1)), (1.0, 2.0), estimated_overhead=20.0, now=lambda: now[0])
    clock.begin_trial(0, 0)
    now[0] += 10
    clock.progress(0, 1.0)
    clock.end_epoch(0, 10.0)
    low, high = clock.left()
    assert low < 2 * (2 + 20) < high


def run_epochs(clock, now, number, *epochs):
    for seconds in epochs:
        now[0] += seconds
        clock.end_epoch(number, seconds)


LENGTHS = (0.5, 0.5, 1.5, 1.5)  # of a training whose first half has low resolution


def test_epochs_at_low_resolution_are_not_taken_for_the_speed_of_later_ones():
    now = [0.0]
    clock = Clock(TrialBudgets((4, 4)), (1.0, 2.0), now=lambda: now[0])
    clock.begin_trial(0, 0, 4, lengths=LENGTHS)
    run_epochs(clock, now, 0, 10.0, 10.0)
    assert clock.time_to_end() == pytest.approx(60)
    low, high = clock.left()
    assert low < 60 + 4 * 20 < high
    run_epochs(clock, now, 0, 30.0)
    assert clock.time_to_end() == pytest.approx(30)
    clock.progress(0, 0.5)
    assert clock.time_to_end() == pytest.approx(15)


def test_a_resumed_training_counts_the_epochs_that_it_has_done():
    now = [0.0]
    clock = Clock(TrialBudgets((4,)), (1.0, 2.0), now=lambda: now[0])
    clock.begin_trial(0, 2, 4, lengths=LENGTHS)
    run_epochs(clock, now, 0, 30.0)
    assert clock.left() == pytest.approx((30, 30))


def test_stopped_trials_at_low_resolution_do_not_promise_more_full_epochs():
    """Of 100 s 20 are used; whole trainings have mean epochs of 10 s, the stopped ones had epochs of 5 s."""
    now = [0.0]
    clock = Clock(TrialBudgets((), endless=True), (100.0, 100.0), now=lambda: now[0])
    clock.deadline = 100.0
    for number in range(2):
        clock.begin_trial(number, 0, 2, lengths=LENGTHS[:2])
        run_epochs(clock, now, number, 5.0, 5.0)
        clock.end_trial(number)
    assert clock.epochs_left() == pytest.approx(80 / (10 * 1.25))


def test_the_epochs_that_a_time_budget_still_allows():
    now = [0.0]
    clock = Clock(TrialBudgets((), endless=True), (100.0, 100.0), now=lambda: now[0])
    clock.deadline = 100.0
    assert clock.epochs_left() is None  # no epoch is known
    clock.begin_trial(0, 0)
    for seconds in (7.0, 4.0, 4.0):
        now[0] += seconds
        clock.end_epoch(0, seconds)
    now[0] += 2
    clock.end_trial(0)  # 2 s besides its epochs, and 3 s of compilation in the first one
    assert clock.epochs_left() == pytest.approx((100 - 17 - 5) / (4 * 1.25))
    now[0] = 101.0
    assert clock.epochs_left() == 0
    clock.deadline = None
    assert clock.epochs_left() is None
