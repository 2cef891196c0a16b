"""The remaining time."""

from fer_search.search.scheduling.budget import TrialBudgets
from fer_search.search.scheduling.clock import Clock


def test_the_clock_starts_from_the_estimate_and_then_learns():
    now = [0.0]
    clock = Clock(TrialBudgets((2, 2, 2, 2)), (80.0, 160.0), now=lambda: now[0])
    assert clock.left() == (80.0, 160.0)
    clock.begin_trial(0)
    for _ in range(2):
        now[0] += 5
        clock.end_epoch(5.0)
    now[0] += 1
    clock.end_trial()
    low, high = clock.left()
    assert low < 6 * 5 + 2 < high
    for _ in range(2):
        clock.begin_trial(0)
        for _ in range(2):
            now[0] += 5
            clock.end_epoch(5.0)
        clock.end_trial()
    narrow = clock.left()
    assert narrow[1] - narrow[0] < high - low
    assert narrow[0] <= 10.5 <= narrow[1] + 1
