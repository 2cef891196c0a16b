"""Estimating the run time from a small and a large design."""

from types import SimpleNamespace

import numpy as np
import pytest

from fer_search import backend
from fer_search.design import Design, Optimisation, Residual
from fer_search.models import Cost
from fer_search.search.scheduling import estimate
from fer_search.search.scheduling.budget import TrialBudgets
from fer_search.search.scheduling.estimate import SampledDesign, estimate_seconds, time_designs
from fer_search.search.scheduling.speed import Speed, epoch_lengths, equivalent_images, training_flops
from fer_search.training.trial import Progress, Stopped, TrialData


def test_epochs_at_low_resolution_cost_less():
    """Half of the epochs at two thirds of the side: half of the FLOPs times 1 and half times 4/9."""
    assert training_flops(Design(optimisation=Optimisation(low_resolution=32)), 900) == pytest.approx(650)
    assert training_flops(Design(), 900) == 900


def test_the_lengths_of_epochs_follow_from_the_time_model():
    """An image takes 775 us, of which 675 us are for its pixels; at two thirds of its side 400 us."""
    low = Design(optimisation=Optimisation(low_resolution=32, low_resolution_fraction=0.25))
    assert epoch_lengths(low, 225.0, 4, None) == pytest.approx([4 / 9 / (31 / 36), *[36 / 31] * 3])
    speed = Speed(floor=100e-6, flops=1e6, trial=1.0)
    ratio = (100 + 3 * 225 * 4 / 9) / (100 + 3 * 225)
    assert epoch_lengths(low, 225.0, 4, speed) == pytest.approx([4 * ratio / (3 + ratio), *[4 / (3 + ratio)] * 3])
    assert epoch_lengths(low, 0.0, 4, Speed(0.0, 1e6, 1.0))[0] < 1  # a cost that is not known
    assert epoch_lengths(Design(), 225.0, 3, speed) == [1, 1, 1]
    assert epoch_lengths(low, 225.0, 1, speed) == [1]  # no epoch is short enough for a quarter


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


class SimulatedGpu:
    """Trains in simulated time: 20 s of compilation, 10 ms per epoch besides its steps, 4 ms per step of any size."""

    def __init__(self) -> None:
        self.now = 100.0

    def train(self, trial, data, hooks):
        batch, seconds = trial.design.optimisation.batch_size, []
        self.now += 20
        for epoch in range(1, trial.epochs + 1):
            began, done, chunk = self.now, 0, 1 if epoch == 1 else 64
            self.now += 0.01
            while done < len(data.labels):
                self.now += 0.004 * chunk
                done = min(done + chunk * batch, len(data.labels))
                chunk *= 2
                hooks.on_progress(Progress(epoch, done, len(data.labels), 1.0, 0.5))
                if hooks.should_stop():
                    raise Stopped
            seconds.append({"seconds": self.now - began})
        return seconds


@pytest.mark.parametrize("aim", [0.05, 100.0])
def test_gpus_are_timed_on_full_batches_and_without_compilation(monkeypatch, aim):
    """Whether or not all three epochs end before the stopwatch does."""
    gpu = SimulatedGpu()
    monkeypatch.setattr(backend, "device", lambda: "A GPU")
    monkeypatch.setattr(estimate, "train", gpu.train)
    monkeypatch.setattr(estimate, "time", SimpleNamespace(perf_counter=lambda: gpu.now))
    monkeypatch.setattr(estimate, "TIMING_SECONDS", aim)
    design = Design(optimisation=Optimisation(batch_size=100))
    images, labels = np.zeros((28_000, 48, 48), np.uint8), np.zeros(28_000, np.int32)
    data = TrialData(images, labels, images[:8], labels[:8])
    speed = time_designs([SampledDesign("", design, Cost(5, 10**9))], data)
    assert pytest.approx(28_000 * speed.image(10**9), rel=0.15) == 280 * 0.004
    assert speed.trial == pytest.approx(20, rel=0.05)


def test_a_measurement_stopped_by_the_user_is_no_measurement(monkeypatch):
    gpu = SimulatedGpu()
    monkeypatch.setattr(estimate, "train", gpu.train)
    images, labels = np.zeros((900, 48, 48), np.uint8), np.zeros(900, np.int32)
    data = TrialData(images, labels, images[:8], labels[:8])
    with pytest.raises(Stopped):
        time_designs([SampledDesign("", Design(), Cost(5, 10**6))], data, stop=lambda: True)
