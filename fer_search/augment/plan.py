"""A plan: every random number of an epoch's augmentation, drawn on the host before the epoch starts.

Drawing them with NumPy costs milliseconds an epoch, makes them the same on every backend and device, and lets one
compiled step serve every strength of an augmentation: the strengths are in the numbers, not in the program.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from fer_search.augment.cutout import cut_out, draw_boxes
from fer_search.augment.geometry import draw_maps
from fer_search.augment.mixup import draw_shares, mix
from fer_search.augment.warp import warp
from fer_search.design import Augmentation

Plan = dict[str, np.ndarray]  # name -> (steps, batch, ...): one row an image, in the order in which they are trained


def draw_plan(rng: np.random.Generator, steps: int, batch: int, augmentation: Augmentation) -> Plan:
    """Draw an epoch's random numbers; what the augmentation does not use is left out.

    Args:
        rng: where all randomness comes from.
        steps: steps of the epoch.
        batch: images a step.
        augmentation: what to draw for.

    Returns:
        Of these, the ones needed: maps float32 (steps, batch, 2, 3); boxes int32 (steps, batch, 4); partners int32
        (steps, batch) and shares float32 (steps, batch).
    """
    count = steps * batch
    rows: Plan = {}
    if augmentation.geometric:
        rows["maps"] = draw_maps(rng, count, augmentation)
    if augmentation.cutout:
        rows["boxes"] = draw_boxes(rng, count, augmentation.cutout, augmentation.cutout_clipped)
    if augmentation.mixup_alpha:
        rows["shares"] = draw_shares(rng, count, augmentation.mixup_alpha)
        rows["partners"] = np.argsort(rng.random((steps, batch)), axis=1).astype(np.int32).reshape(count)
    return {name: values.reshape(steps, batch, *values.shape[1:]) for name, values in rows.items()}


def augment(images: Any, labels: Any, step: dict[str, Any]) -> tuple[Any, Any]:
    """Augment one batch: the geometry, then cutout, then mixup.

    Args:
        images: uint8 or float32 (n, h, w), grey values from 0 to 255.
        labels: float32 (n, classes), one-hot.
        step: one step of a plan (each array without its first axis); entries of other names are ignored.

    Returns:
        Images, float32 (n, h, w, 1) from 0 to 255, and labels, float32 (n, classes).
    """
    images = ops.cast(images, "float32")
    if "maps" in step:
        images = warp(images, step["maps"])
    if "boxes" in step:
        images = cut_out(images, step["boxes"])
    if "shares" in step:
        images = mix(images, step["partners"], step["shares"])
        labels = mix(labels, step["partners"], step["shares"])
    return ops.expand_dims(images, -1), labels
