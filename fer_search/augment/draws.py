"""A plan: every random number of an epoch's augmentation, drawn on the host before the epoch starts.

Drawing them with NumPy costs milliseconds an epoch, makes them the same on every backend and device, and lets one
compiled step serve every strength of an augmentation: the strengths are in the numbers, not in the program.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from fer_search.augment.cutmix import draw_patches, own_shares, paste
from fer_search.augment.cutout import cut_out, draw_squares
from fer_search.augment.erasing import draw_erasures, draw_seeds, erase
from fer_search.augment.geometry import draw_maps
from fer_search.augment.light import draw_light, relight
from fer_search.augment.mixup import draw_partners, draw_shares, mix
from fer_search.augment.warp import warp
from fer_search.design import Augmentation

Plan = dict[str, np.ndarray]  # name -> (steps, batch, ...): one row an image, in the order in which they are trained
PARTS = 6  # whose random numbers are drawn apart, so that one design's geometry is another's that has cutout besides


def draw_plan(rng: np.random.Generator, steps: int, batch: int, augmentation: Augmentation) -> Plan:
    """Draw an epoch's random numbers; what the augmentation does not use is left out.

    Args:
        rng: where all randomness comes from.
        steps: steps of the epoch.
        batch: images a step.
        augmentation: what to draw for.

    Returns:
        Of these, the ones needed, each with (steps, batch) in front:
        maps float32 (2, 3), the geometry; light float32 (2,); squares int32 (k, 4) to blacken; erasures int32 (4,) and
        seeds uint32, to fill with noise; partners int32, rows of the same step; opacities float32, own shares of
        the pixels, patches int32 (4,) of the partner, and shares float32, own shares of the labels. The last is
        smoothing, float32 (steps,).
    """
    a, count = augmentation, steps * batch
    geometry, light, squares, erasing, partners, blends = rng.spawn(PARTS)
    rows: Plan = {}
    if a.geometric:
        rows["maps"] = draw_maps(geometry, count, a)
    if a.brightness or a.contrast:
        rows["light"] = draw_light(light, count, a.brightness, a.contrast)
    if a.cutout:
        rows["squares"] = draw_squares(squares, count, a.cutout, a.cutout_count, a.cutout_clipped)
    if a.erasing:
        rows["erasures"] = draw_erasures(erasing, count, a.erasing)
        rows["seeds"] = draw_seeds(erasing, count)
    if a.mixup_alpha or a.mixup_share or a.cutmix_alpha:
        rows["partners"] = draw_partners(partners, steps, batch)
        rows |= _draw_blends(blends, count, a)
    plan = {name: values.reshape(steps, batch, *values.shape[1:]) for name, values in rows.items()}
    if a.label_smoothing:
        plan["smoothing"] = np.full(steps, a.label_smoothing, np.float32)
    return plan


def _draw_blends(rng: np.random.Generator, count: int, a: Augmentation) -> Plan:
    """Draw mixup, cutmix, or for each image one of them."""
    opacities = np.full(count, a.mixup_share or 1.0, np.float32)
    if a.mixup_alpha:
        opacities = draw_shares(rng, count, a.mixup_alpha)
    if not a.cutmix_alpha:
        return {"opacities": opacities, "shares": opacities}
    patches = draw_patches(rng, count, a.cutmix_alpha)
    if not (a.mixup_alpha or a.mixup_share):
        return {"patches": patches, "shares": own_shares(patches)}
    heads = rng.random(count) < 0.5
    opacities = np.where(heads, opacities, np.float32(1))
    patches = np.where(heads[:, None], np.int32(0), patches)
    return {"opacities": opacities, "patches": patches, "shares": opacities * own_shares(patches)}


def augment(images: Any, labels: Any, step: dict[str, Any]) -> tuple[Any, Any]:
    """Augment one batch: the geometry, light, squares, blends.

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
    if "light" in step:
        images = relight(images, step["light"])
    if "squares" in step:
        images = cut_out(images, step["squares"])
    if "erasures" in step:
        images = erase(images, step["erasures"], step["seeds"])
    if "partners" in step:
        images, labels = _blend(images, labels, step)
    if "smoothing" in step:
        labels = mix(labels, 1.0 / labels.shape[-1], 1.0 - step["smoothing"])
    return ops.expand_dims(images, -1), labels


def _blend(images: Any, labels: Any, step: dict[str, Any]) -> tuple[Any, Any]:
    """Mix each image and its label with its partner's."""
    others, mixed = ops.take(images, step["partners"], axis=0), images
    if "opacities" in step:
        mixed = mix(mixed, others, step["opacities"])
    if "patches" in step:
        mixed = paste(mixed, others, step["patches"])
    return mixed, mix(labels, ops.take(labels, step["partners"], axis=0), step["shares"])
