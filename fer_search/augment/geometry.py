"""All geometric augmentation of an image as one affine map.

A map takes the position (row, column) of an output pixel to the position in the input from which it is sampled, as in
``scipy.ndimage.affine_transform``. Rotation, shift, shear and zoom are composed about the image's centre in the order
of the legacy Keras ImageDataGenerator (``keras.src.legacy.preprocessing.image``, ``apply_affine_transform``), then a
window is cropped and scaled up to the full image, and the horizontal flip comes last, so that equal parameters give
equal images.
"""

from __future__ import annotations

import numpy as np

from fer_search.augment.boxes import draw_sizes
from fer_search.design import Augmentation, scale_pixels

ASPECT = (3 / 4, 4 / 3)  # width over height of random resized crops (torchvision's default)


def draw_maps(rng: np.random.Generator, count: int, augmentation: Augmentation, image_size: int = 48) -> np.ndarray:
    """Draw one affine map per image.

    Args:
        rng: Random generator; the amount of numbers drawn depends only on ``count`` and the kind of crop.
        count: Number of images.
        augmentation: Ranges; its docstring gives their units.
        image_size: Side of the images, pixels.

    Returns:
        float32 (count, 2, 3): matrix and offset of each map, in pixels.
    """
    u = rng.uniform(-1.0, 1.0, (7, count))
    a = augmentation
    return compose_maps(
        rotation=np.deg2rad(a.rotation * u[0]),
        shift=a.shift * image_size * u[1:3],
        shear=np.deg2rad(a.shear * u[3]),
        zoom=1.0 + a.zoom * u[4:6],
        flipped=(u[6] < 0) & a.flip,
        windows=draw_windows(rng, count, a, image_size),
        image_size=image_size,
    )


def draw_windows(rng: np.random.Generator, count: int, augmentation: Augmentation, image_size: int = 48) -> np.ndarray:
    """Draw the window of each image that is scaled up to the full size: crop, resized_crop, or all of it.

    A crop has integer coordinates; a resized crop is not rounded.

    Args:
        rng: Random generator.
        count: Number of images.
        augmentation: Its ``crop`` and ``resized_crop`` are used.
        image_size: Side of the images, pixels.

    Returns:
        float64 (count, 4): top, left, height, width in pixels.
    """
    if augmentation.crop:
        side = scale_pixels(augmentation.crop, image_size)
        origin = rng.integers(0, image_size - side, (count, 2), endpoint=True)
        return np.concatenate([origin, np.full((count, 2), side)], axis=1).astype(float)
    if augmentation.resized_crop:
        sides = draw_sizes(rng, count, (augmentation.resized_crop, 1.0), ASPECT) * image_size
        return np.concatenate([rng.random((count, 2)) * (image_size - sides), sides], axis=1)
    return np.tile([0.0, 0.0, image_size, image_size], (count, 1))


def compose_maps(
    rotation: np.ndarray,
    shift: np.ndarray,
    shear: np.ndarray,
    zoom: np.ndarray,
    flipped: np.ndarray,
    windows: np.ndarray,
    image_size: int = 48,
) -> np.ndarray:
    """Compose one affine map per image.

    Args:
        rotation: (n,) radians.
        shift: (2, n) pixels, rows then columns.
        shear: (n,) radians.
        zoom: (2, n) factors on the distance to the centre in the input, rows then columns: above 1 shrinks the image.
        flipped: (n,) bool, horizontal flip.
        windows: (n, 4), from ``draw_windows``.
        image_size: Side of the images, pixels.

    Returns:
        float32 (n, 2, 3).
    """
    sine, cosine = np.sin(rotation), np.cos(rotation)
    # rotation @ shear @ zoom on (column, row), the coordinate order that ImageDataGenerator composes in
    matrix = np.empty((len(rotation), 2, 2))
    matrix[:, 0, 0] = cosine * zoom[1]
    matrix[:, 1, 0] = sine * zoom[1]
    matrix[:, 0, 1] = -np.sin(rotation + shear) * zoom[0]
    matrix[:, 1, 1] = np.cos(rotation + shear) * zoom[0]
    moved = np.stack([cosine * shift[1] - sine * shift[0], sine * shift[1] + cosine * shift[0]], axis=1)
    matrix, moved = matrix[:, ::-1, ::-1], moved[:, ::-1]  # to (row, column)
    centre = np.full(2, image_size / 2 - 0.5)
    window_centre = windows[:, :2] + windows[:, 2:] / 2 - 0.5
    # Position in the input that maps to the output's centre.
    source_centre = centre + moved + np.einsum("nij,nj->ni", matrix, window_centre - centre)
    # The flip comes last: it negates an output column's distance to the centre.
    scale = windows[:, 2:] / image_size * np.where(flipped[:, None], [1.0, -1.0], 1.0)
    matrix = matrix * scale[:, None, :]
    offset = source_centre - matrix @ centre
    return np.concatenate([matrix, offset[:, :, None]], axis=2).astype(np.float32)


def mirror_maps(maps: np.ndarray, image_size: int = 48) -> np.ndarray:
    """Return the maps of the mirror images: each output column is sampled where its opposite was.

    Args:
        maps: float32 (..., 2, 3).
        image_size: Side of the images, pixels.
    """
    matrix, offset = maps[..., :2], maps[..., 2]
    mirrored = np.stack([matrix[..., 0], -matrix[..., 1], offset + (image_size - 1) * matrix[..., 1]], axis=-1)
    return mirrored.astype(np.float32)


def crop_flip_maps(windows: np.ndarray, flipped: np.ndarray, image_size: int = 48) -> np.ndarray:
    """Return the maps, float32 (n, 2, 3), of images that are only cropped and flipped.

    Args:
        windows: (n, 4), as from ``draw_windows``.
        flipped: (n,) bool.
    """
    zeros = np.zeros(len(windows))
    return compose_maps(zeros, np.zeros((2, len(zeros))), zeros, np.ones((2, len(zeros))), flipped, windows, image_size)
