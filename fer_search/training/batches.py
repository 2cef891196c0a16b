"""Which images make up each step of an epoch."""

from __future__ import annotations

import math

import numpy as np


def draw_batches(rng: np.random.Generator, count: int, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Shuffle an epoch's images into steps of one size, so that one compiled step serves all of them.

    Batches are as equal as can be: 1,000 images at 256 make four of 250. Where the count does not divide, the last
    batches are one short and filled up with an image that has been trained already, at weight 0: every image counts once an
    epoch, none is dropped.

    Args:
        rng: where the order comes from.
        count: images, at least 1.
        batch_size: images a step at most.

    Returns:
        Rows, int32 (steps, batch), and their weights in the loss, float32 (steps, batch), 1 or 0.
    """
    steps = math.ceil(count / batch_size)
    batch = math.ceil(count / steps)
    order = rng.permutation(count).astype(np.int32)
    short = steps * batch - count
    rows, weights = np.empty((steps, batch), np.int32), np.ones((steps, batch), np.float32)
    full = (steps - short) * batch
    rows[: steps - short] = order[:full].reshape(-1, batch)
    if short:
        rows[steps - short :, :-1] = order[full:].reshape(short, batch - 1)
        rows[steps - short :, -1] = order[:short]
        weights[steps - short :, -1] = 0
    return rows, weights


def in_order(count: int, batch_size: int) -> np.ndarray:
    """Return int32 (steps, batch): 0 to count - 1 in order, filled up at the end by repeating the last row."""
    steps = math.ceil(count / batch_size)
    rows = np.minimum(np.arange(steps * min(batch_size, count)), count - 1)
    return rows.reshape(steps, -1).astype(np.int32)
