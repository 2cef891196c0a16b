"""Which images make up each step of an epoch, and what each counts."""

from __future__ import annotations

import math

import numpy as np

from fer_search.augment import Plan
from fer_search.data.dataset import CLASSES


def draw_batches(rng: np.random.Generator, count: int, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Shuffle an epoch's images into steps of one size, so that one compiled step serves all of them.

    Batches are as equal as can be: 1,000 images at 256 make four of 250. Where the count does not divide, the last
    batches are one short and filled up with an image that has been trained already, at weight 0: every image counts
    once an epoch, none is dropped.

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
    """Return int32 (steps, batch): 0 to count - 1 in order, in even steps; the last row repeated to fill up."""
    steps = math.ceil(count / batch_size)
    rows = np.minimum(np.arange(steps * math.ceil(count / steps)), count - 1)
    return rows.reshape(steps, -1).astype(np.int32)


def balanced_weights(labels: np.ndarray) -> np.ndarray:
    """Return each image's weight, float32 (n,), that makes classes count alike: n / (classes * images of its class)."""
    return (len(labels) / (len(CLASSES) * np.bincount(labels)[labels])).astype(np.float32)


def loss_weights(weights: np.ndarray, rows: np.ndarray, plan: Plan, image_weights: np.ndarray | None) -> np.ndarray:
    """Return what each place of each step counts in the loss.

    Args:
        weights: float32 (steps, batch), from ``draw_batches``.
        rows: int32 (steps, batch).
        plan: the epoch's augmentation; an image that is mixed with another takes part in its weight, as in its label.
        image_weights: float32 (n,), from ``balanced_weights``; None where all count alike.

    Returns:
        float32 (steps, batch).
    """
    if image_weights is None:
        return weights
    own = image_weights[rows]
    if "partners" in plan:
        others = np.take_along_axis(own, plan["partners"], axis=1)
        own = plan["shares"] * own + (1 - plan["shares"]) * others
    return weights * own
