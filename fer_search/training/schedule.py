"""Learning-rate schedules: the rate of each step of an epoch, given the epochs before it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fer_search.design import Optimisation

MIN_DELTA = 1e-4  # smallest improvement that Keras' ReduceLROnPlateau counts by default
ONE_CYCLE_WARMUP = 0.3  # fraction of the epochs in which one_cycle rises (default of PyTorch's OneCycleLR)
ONE_CYCLE_DIVISOR = 25.0  # maximum over initial learning rate of one_cycle (default of PyTorch's OneCycleLR)


def learning_rates(optimisation: Optimisation, val_losses: Sequence[float], steps: int, horizon: int) -> np.ndarray:
    """Return the learning rate of each step of the epoch after the given ones.

    Warm-up, cosine and one_cycle change from step to step; constant, plateau and step only between epochs. Everything
    is a function of the table of epochs, so that resuming needs no other state. After a warm-up, cosine and one_cycle
    span the rest of the horizon.

    Args:
        optimisation: The design's optimisation.
        val_losses: Validation loss of each epoch so far, in order.
        steps: Number of steps of the epoch.
        horizon: Epoch at whose last step cosine and one_cycle end.

    Returns:
        float32 (steps,).
    """
    o, epoch = optimisation, len(val_losses) + 1
    elapsed = epoch - 1 + np.arange(1, steps + 1) / steps  # epochs trained at the end of each step
    warmup = min(o.warmup_epochs, float(horizon))
    progress = np.clip((elapsed - warmup) / max(horizon - warmup, 1e-9), 0, 1)  # after the warm-up
    low = min(o.min_learning_rate, o.learning_rate)
    if o.schedule == "cosine":
        rates = _cosine(o.learning_rate, low, progress)
    elif o.schedule == "one_cycle":
        rising = _cosine(o.learning_rate / ONE_CYCLE_DIVISOR, o.learning_rate, progress / ONE_CYCLE_WARMUP)
        falling = _cosine(o.learning_rate, low, (progress - ONE_CYCLE_WARMUP) / (1 - ONE_CYCLE_WARMUP))
        rates = np.where(progress < ONE_CYCLE_WARMUP, rising, falling)
    else:
        rates = np.full(steps, _epoch_rate(o, val_losses))
    ramp = np.minimum(elapsed / warmup, 1.0) if warmup else 1.0
    return (rates * ramp).astype(np.float32)


def _cosine(first: float, last: float, progress: np.ndarray) -> np.ndarray:
    rates: np.ndarray = last + (first - last) * (1 + np.cos(np.pi * np.clip(progress, 0, 1))) / 2
    return rates


def _epoch_rate(o: Optimisation, val_losses: Sequence[float]) -> float:
    if o.schedule == "plateau":
        return _plateau(o, val_losses)
    if o.schedule == "step":
        drops = max(0, -(-(len(val_losses) + 1 - o.step_start) // o.step_every))  # the first in epoch step_start + 1
        return max(o.learning_rate * o.step_factor**drops, min(o.min_learning_rate, o.learning_rate))
    return o.learning_rate


def _plateau(o: Optimisation, val_losses: Sequence[float]) -> float:
    """Keras' ReduceLROnPlateau (monitor val_loss, mode min, no cooldown) as a function of the history."""
    rate, best, waited = o.learning_rate, float("inf"), 0
    for loss in val_losses:
        if loss < best - MIN_DELTA:
            best, waited = loss, 0
            continue
        waited += 1
        if waited >= o.plateau_patience and rate > o.min_learning_rate:
            rate, waited = max(rate * o.plateau_factor, o.min_learning_rate), 0
    return rate
