"""Composition of each step's batch, and the loss weight of every image in it."""

from __future__ import annotations

import math

import numpy as np

from fer_search.augment import EpochDraws


def draw_batches(rng: np.random.Generator, count: int, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Shuffle an epoch's images into batches of equal size, so that one compiled step serves all of them.

    The images are spread evenly: 1,000 images at batch size 256 give four batches of 250. Where the count does not
    divide, the last batches are padded with one image each at weight 0: every image counts exactly once per epoch.

    Args:
        rng: Source of the order.
        count: Number of images, at least 1.
        batch_size: Maximum batch size.

    Returns:
        Image indices, int32 (steps, batch), and their weights, float32 (steps, batch), 1 or 0.
    """
    steps = math.ceil(count / batch_size)
    batch = math.ceil(count / steps)
    order = rng.permutation(count).astype(np.int32)
    padded = steps * batch - count  # number of batches with one padding image
    rows, weights = np.empty((steps, batch), np.int32), np.ones((steps, batch), np.float32)
    unpadded = (steps - padded) * batch
    rows[: steps - padded] = order[:unpadded].reshape(-1, batch)
    if padded:
        rows[steps - padded :, :-1] = order[unpadded:].reshape(padded, batch - 1)
        rows[steps - padded :, -1] = order[:padded]
        weights[steps - padded :, -1] = 0
    return rows, weights


def sequential_batches(count: int, batch_size: int) -> np.ndarray:
    """Return 0 to count - 1 in order as equal batches, int32 (steps, batch), padded by repeating the last index."""
    steps = math.ceil(count / batch_size)
    rows = np.minimum(np.arange(steps * math.ceil(count / steps)), count - 1)
    return rows.reshape(steps, -1).astype(np.int32)


def balanced_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return per-image weights that balance the classes: n / (classes * images of its class).

    Args:
        labels: int (n,), from 0 to classes - 1.
        classes: Number of classes.

    Returns:
        float32 (n,).
    """
    weights: np.ndarray = (len(labels) / (classes * np.bincount(labels)[labels])).astype(np.float32)
    return weights


def loss_weights(
    weights: np.ndarray, rows: np.ndarray, draws: EpochDraws, image_weights: np.ndarray | None
) -> np.ndarray:
    """Return the loss weight of each image in each step.

    Args:
        weights: float32 (steps, batch), from ``draw_batches``.
        rows: Image indices, int32 (steps, batch).
        draws: The epoch's augmentation; mixed images mix their weights as they mix their labels.
        image_weights: float32 (n,), from ``balanced_weights``, or None for equal weights.

    Returns:
        float32 (steps, batch).
    """
    if image_weights is None:
        return weights
    mixed = image_weights[rows]
    if "partners" in draws:
        lam = draws["label_lam"]
        mixed = lam * mixed + (1 - lam) * np.take_along_axis(mixed, draws["partners"], axis=1)
    weighted: np.ndarray = weights * mixed
    return weighted
