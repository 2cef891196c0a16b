"""The learning rate of each step of an epoch, from the epochs before it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fer_search.design import Optimisation

MIN_DELTA = 1e-4  # what Keras' ReduceLROnPlateau counts as an improvement by default
ONE_CYCLE_RISE = 0.3  # share of the epochs in which one_cycle rises, and
ONE_CYCLE_START = 25.0  # how many times below the highest rate it begins: the defaults of PyTorch's OneCycleLR


def learning_rates(optimisation: Optimisation, val_losses: Sequence[float], steps: int, horizon: int) -> np.ndarray:
    """Return the learning rate of each step of the epoch that follows the given ones.

    Warm-up, cosine and one_cycle change from step to step; constant, plateau and step only from epoch to epoch.
    Everything is a function of the table of epochs, so that a resumed training needs nothing else. After a warm-up
    cosine and one_cycle have what is left of the horizon.

    Args:
        optimisation: the design's.
        val_losses: validation loss of each epoch so far, the first one first.
        steps: of the epoch.
        horizon: the epoch at whose last step cosine and one_cycle reach their end.

    Returns:
        float32 (steps,).
    """
    o, epoch = optimisation, len(val_losses) + 1
    at = epoch - 1 + np.arange(1, steps + 1) / steps  # epochs trained when the step is done
    warmup = min(o.warmup_epochs, float(horizon))
    share = np.clip((at - warmup) / max(horizon - warmup, 1e-9), 0, 1)  # of what follows the warm-up
    low = min(o.min_learning_rate, o.learning_rate)
    if o.schedule == "cosine":
        rates = _cosine(o.learning_rate, low, share)
    elif o.schedule == "one_cycle":
        rising = _cosine(o.learning_rate / ONE_CYCLE_START, o.learning_rate, share / ONE_CYCLE_RISE)
        falling = _cosine(o.learning_rate, low, (share - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE))
        rates = np.where(share < ONE_CYCLE_RISE, rising, falling)
    else:
        rates = np.full(steps, _epoch_rate(o, val_losses))
    ramp = np.minimum(at / warmup, 1.0) if warmup else 1.0
    return (rates * ramp).astype(np.float32)


def _cosine(first: float, last: float, share: np.ndarray) -> np.ndarray:
    return last + (first - last) * (1 + np.cos(np.pi * np.clip(share, 0, 1))) / 2


def _epoch_rate(o: Optimisation, val_losses: Sequence[float]) -> float:
    if o.schedule == "plateau":
        return _plateau(o, val_losses)
    if o.schedule == "step":
        drops = max(0, -(-(len(val_losses) + 1 - o.step_start) // o.step_every))  # the first is in epoch step_start + 1
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
