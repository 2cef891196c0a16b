"""All random numbers of an epoch's augmentation, drawn on the host before the epoch starts.

Drawing them with NumPy takes milliseconds per epoch, makes them identical on every backend and device, and lets one
compiled step serve every augmentation strength: the strengths are in the numbers, not in the program.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from fer_search.augment.cutmix import draw_patches, paste, patch_lam
from fer_search.augment.cutout import cut_out, draw_squares
from fer_search.augment.erasing import draw_erasures, draw_seeds, erase
from fer_search.augment.geometry import draw_maps
from fer_search.augment.jitter import apply_jitter, draw_jitter
from fer_search.augment.mixup import draw_lam, draw_partners, mix
from fer_search.augment.resize import shrink
from fer_search.augment.warp import warp
from fer_search.design import Augmentation, scale_pixels

EpochDraws = dict[str, np.ndarray]  # name -> (steps, batch, ...), in training order
STREAMS = 6  # separate random streams, so that adding cutout, say, does not change the geometry


def draw_epoch(
    rng: np.random.Generator, steps: int, batch: int, augmentation: Augmentation, image_size: int = 48
) -> EpochDraws:
    """Draw an epoch's random numbers, leaving out what the augmentation does not use.

    Args:
        rng: Random generator.
        steps: Number of steps of the epoch.
        batch: Images per step.
        augmentation: Augmentation to draw for.
        image_size: Side of the images, pixels.

    Returns:
        The required ones of the following arrays, each with leading axes (steps, batch): maps float32 (2, 3), the
        geometry; jitter float32 (2,); squares int32 (k, 4), for cutout; erasures int32 (4,) and seeds uint32, for
        random erasing; partners int32, indices into the same step; pixel_lam float32, the image's own weight in mixup;
        patches int32 (4,), for cutmix; label_lam float32, the own label's weight. And smoothing, float32 (steps,).
    """
    a, count = augmentation, steps * batch
    geometry, jitter, squares, erasing, partners, mixing = rng.spawn(STREAMS)
    flat: EpochDraws = {}
    if a.geometric:
        flat["maps"] = draw_maps(geometry, count, a, image_size)
    if a.brightness or a.contrast:
        flat["jitter"] = draw_jitter(jitter, count, a.brightness, a.contrast)
    if a.cutout:
        flat["squares"] = draw_squares(
            squares, count, scale_pixels(a.cutout, image_size), a.cutout_count, a.cutout_clipped, image_size
        )
    if a.erasing:
        flat["erasures"] = draw_erasures(erasing, count, a.erasing, image_size)
        flat["seeds"] = draw_seeds(erasing, count)
    if a.mixup_alpha or a.mixup_share or a.cutmix_alpha:
        flat["partners"] = draw_partners(partners, steps, batch)
        flat |= _draw_mixing(mixing, count, a, image_size)
    draws = {name: values.reshape(steps, batch, *values.shape[1:]) for name, values in flat.items()}
    if a.label_smoothing:
        draws["smoothing"] = np.full(steps, a.label_smoothing, np.float32)
    return draws


def _draw_mixing(rng: np.random.Generator, count: int, a: Augmentation, image_size: int) -> EpochDraws:
    """Draw mixup, cutmix, or one of the two for each image."""
    lam = np.full(count, a.mixup_share or 1.0, np.float32)
    if a.mixup_alpha:
        lam = draw_lam(rng, count, a.mixup_alpha)
    if not a.cutmix_alpha:
        return {"pixel_lam": lam, "label_lam": lam}
    patches = draw_patches(rng, count, a.cutmix_alpha, image_size)
    if not (a.mixup_alpha or a.mixup_share):
        return {"patches": patches, "label_lam": patch_lam(patches, image_size)}
    use_mixup = rng.random(count) < 0.5
    lam = np.where(use_mixup, lam, np.float32(1))
    patches = np.where(use_mixup[:, None], np.int32(0), patches)
    return {"pixel_lam": lam, "patches": patches, "label_lam": lam * patch_lam(patches, image_size)}


def augment(images: Any, labels: Any, step: dict[str, Any]) -> tuple[Any, Any]:
    """Augment one batch: geometry, brightness and contrast, cutout and erasing, mixup and cutmix, label smoothing.

    Args:
        images: uint8 or float32 (n, h, w), gray levels from 0 to 255, or (n, h, w, 3), RGB.
        labels: float32 (n, classes), one-hot.
        step: One step of an epoch's draws (each array without its first axis); other entries are ignored.

    Returns:
        Images, float32 (n, h, w, channels) from 0 to 255 (smaller ones where the step shrinks them), and labels,
        float32 (n, classes).
    """
    images = ops.cast(images, "float32")
    planes = [images] if len(images.shape) == 3 else [images[..., c] for c in range(images.shape[-1])]
    if "maps" in step:
        planes = [warp(plane, step["maps"]) for plane in planes]
    if "jitter" in step:
        planes = apply_jitter(planes, step["jitter"])
    if "squares" in step:
        planes = [cut_out(plane, step["squares"]) for plane in planes]
    if "erasures" in step:
        planes = [erase(plane, step["erasures"], step["seeds"]) for plane in planes]
    if "partners" in step:
        planes = [_mix_pixels(plane, step) for plane in planes]
        labels = mix(labels, ops.take(labels, step["partners"], axis=0), step["label_lam"])
    if "smoothing" in step:
        labels = mix(labels, 1.0 / labels.shape[-1], 1.0 - step["smoothing"])
    if "shrink" in step:
        planes = [shrink(plane, step["shrink"]) for plane in planes]
    return ops.stack(planes, axis=-1) if len(planes) > 1 else ops.expand_dims(planes[0], -1), labels


def _mix_pixels(images: Any, step: dict[str, Any]) -> Any:
    """Mix each image (n, h, w) with its partner."""
    others, mixed = ops.take(images, step["partners"], axis=0), images
    if "pixel_lam" in step:
        mixed = mix(mixed, others, step["pixel_lam"])
    if "patches" in step:
        mixed = paste(mixed, others, step["patches"])
    return mixed
