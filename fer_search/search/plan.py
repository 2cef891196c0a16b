"""How much a search will train, before it starts: for its progress, and for an estimate of its time."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import keras
import numpy as np

from fer_search.models import build_model, count_flops
from fer_search.search.oracles import HyperbandOracle, SafeOracle
from fer_search.space import Space

TRIAL_SECONDS = 5.0  # to build, trace and compile a network, on a laptop
SHARE_OF_PROBE = 0.45  # of the probe's speed that a training reaches; 0.35 to 0.6 were seen on CPUs


@dataclass(frozen=True)
class Amount:
    """How many trials and epochs a search has at most; None where the tuner sets no limit."""

    trials: int
    epochs: int


def planned(oracle: SafeOracle, baselines: int, max_trials: int | None, max_epochs: int) -> Amount:
    """Return what a search will train if nothing fails.

    Args:
        oracle: a new one, before its first proposal.
        baselines: trials that come before the oracle's.
        max_trials: limit on all trials together.
        max_epochs: epochs of a trial (Hyperband: of its last rung).
    """
    budgets = [max_epochs] * baselines + _proposals(oracle, max_trials, max_epochs)
    budgets = budgets[:max_trials]
    return Amount(len(budgets), sum(budgets))


def _proposals(oracle: SafeOracle, max_trials: int | None, max_epochs: int) -> list[int]:
    """Return the epochs that each of the oracle's trials adds."""
    if isinstance(oracle, HyperbandOracle):
        return _hyperband_epochs(oracle)
    if max_trials is not None:
        return [max_epochs] * max_trials
    size = math.prod(len(list(choice.values)) for choice in oracle.get_space().space)  # the grid, conditions left out
    return [max_epochs] * size


def _hyperband_epochs(oracle: HyperbandOracle) -> list[int]:
    added = []
    for bracket in range(oracle._get_num_brackets() - 1, -1, -1):
        for rung in range(bracket + 1):
            before = oracle._get_epochs(bracket, rung - 1) if rung else 0
            added += [oracle._get_epochs(bracket, rung) - before] * oracle._get_size(bracket, rung)
    return added


def estimate_seconds(space: Space, amount: Amount, images: int, val_images: int) -> float:
    """Return about how long a search will take here, from a one-second test of this machine's speed.

    Args:
        space: three designs of it are built, to count their arithmetic.
        amount: what will be trained.
        images: training images an epoch; a step is taken as three forward passes.
        val_images: validation images an epoch.
    """
    hp = space.choices()
    flops = [count_flops(build_model(space.design(hp)))]
    rng = np.random.default_rng(0)
    for _ in range(2):
        for choice in hp.space:
            if hp.is_active(choice):
                hp.values[choice.name] = choice.prob_to_value(rng.random())
        hp.ensure_active_values()
        flops.append(count_flops(build_model(space.design(hp))))
    an_epoch = float(np.mean(flops)) * (3 * images + val_images) / (probe_speed() * SHARE_OF_PROBE)
    return amount.epochs * an_epoch + amount.trials * TRIAL_SECONDS


def probe_speed(seconds: float = 0.5) -> float:
    """Return the floating-point operations per second of a 3x3 convolution here."""
    x = keras.ops.ones((64, 24, 24, 32))
    kernel = keras.ops.ones((3, 3, 32, 32))
    flops = 2 * 64 * 24 * 24 * 9 * 32 * 32

    def once() -> None:
        np.asarray(keras.ops.conv(x, kernel, padding="same"))

    once()
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        once()
        count += 1
    return flops * count / (time.perf_counter() - started)
